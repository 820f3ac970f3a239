using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>How many cores the arithmetic uses.</summary>
internal static class Threading
{
    /// <param name="threads">0: all.</param>
    public static void Use(int threads) => set_num_threads(threads == 0 ? Environment.ProcessorCount : threads);
}
