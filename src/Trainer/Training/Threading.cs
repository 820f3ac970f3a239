using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>Sets the number of threads that TorchSharp computes with.</summary>
internal static class Threading
{
    /// <param name="threads">The number of threads; 0 uses one per core.</param>
    public static void Use(int threads) => set_num_threads(threads == 0 ? Environment.ProcessorCount : threads);
}
