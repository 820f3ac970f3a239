using ProxyTune.Checkpoints.Architectures;
using TorchSharp;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>Draws the initial weights of a fresh model.</summary>
internal static class FreshWeights
{
    /// <summary>Normal with deviation 0.02; the projections that write to the residual stream shrink with depth, as in GPT-2.</summary>
    public static void Draw(ParameterSet parameters, DecoderSpec spec, long seed)
    {
        using DisposeScope scope = NewDisposeScope();
        using Generator generator = new((ulong)seed);
        foreach (ParameterSlot slot in parameters.Slots)
        {
            Tensor target = parameters.Values.narrow(0, slot.Offset, slot.Count);
            if (slot.Shape.Length == 1)
            {
                target.fill_(1);
                continue;
            }

            bool writesToResidual = slot.Name.Contains(DecoderTensors.Output, StringComparison.Ordinal) || slot.Name.Contains(DecoderTensors.Down, StringComparison.Ordinal);
            double deviation = 0.02 / (writesToResidual ? Math.Sqrt(2.0 * spec.Layers) : 1);
            target.copy_(randn(slot.Count, generator: generator) * deviation);
        }
    }
}
