using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Trainer.Recipes;

/// <summary>From a checkpoint, with or without a low-rank update, to a folder that is served (onnxruntime-genai's layout).</summary>
public static class Export
{
    /// <param name="model">Checkpoint folder.</param>
    /// <param name="adapter">PEFT folder whose update is merged, W + (alpha / rank) B A, or null.</param>
    /// <param name="output">Created where needed.</param>
    /// <param name="bits">Of each linear weight: 32, 8 or 4.</param>
    /// <exception cref="EngineException">The checkpoint or the adapter is incomplete or broken, or they do not fit each other.</exception>
    public static void Run(string model, string? adapter, string output, int bits = LlamaExporter.FloatBits) =>
        LlamaExporter.Export(model, output, adapter is null ? null : [new WeightedPatch(LowRankPatch.Read(adapter), 1)], bits);
}
