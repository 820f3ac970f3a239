using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Exports a checkpoint, with or without a low-rank update, as a folder to serve (onnxruntime-genai's layout).</summary>
public static class Export
{
    /// <param name="model">The checkpoint folder.</param>
    /// <param name="adapter">A PEFT folder whose update is merged, W + (alpha / rank) B A, or null.</param>
    /// <param name="output">The target folder; created if it is missing.</param>
    /// <param name="bits">The bits of each linear weight: 32, 8 or 4.</param>
    /// <exception cref="EngineException">The checkpoint or the adapter is incomplete or broken, or they do not fit each other.</exception>
    public static void Run(string model, string? adapter, string output, int bits = CheckpointExporter.FloatBits) =>
        CheckpointExporter.Export(model, output, adapter is null ? null : [new WeightedPatch(LowRankPatch.Read(adapter), 1)], bits);
}
