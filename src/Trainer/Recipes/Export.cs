using ProxyTune.Decoding.Onnx;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Recipes;

/// <summary>From a checkpoint, with or without a low-rank update, to a folder that is served (onnxruntime-genai's layout, float32).</summary>
public static class Export
{
    /// <param name="model">Checkpoint folder.</param>
    /// <param name="adapter">PEFT folder whose update is merged, or null.</param>
    /// <param name="output">Created where needed.</param>
    /// <exception cref="TrainingException">The adapter is broken or does not fit.</exception>
    /// <exception cref="Decoding.EngineException">The checkpoint is incomplete or broken.</exception>
    public static void Run(string model, string? adapter, string output)
    {
        if (adapter is null)
        {
            LlamaExporter.Export(model, output);
            return;
        }

        Merge(model, adapter, output);
        LlamaExporter.Export(output, output);
    }

    /// <summary>Writes the checkpoint W + (alpha / rank) B A.</summary>
    public static void Merge(string model, string adapter, string output)
    {
        using var merged = ModelFolder.Load(model, trainable: false);
        using var update = AdapterFolder.Load(adapter, merged.Config);
        update.MergeInto(merged);
        ModelFolder.Save(output, merged, model);
    }
}
