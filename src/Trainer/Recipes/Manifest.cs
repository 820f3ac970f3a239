using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Writes the manifest of a low-rank update that has none, of whatever origin.</summary>
internal static class Manifest
{
    /// <param name="model">The checkpoint that it was trained on.</param>
    /// <param name="adapter">Its folder, in PEFT's layout; manifest.json is written there.</param>
    /// <param name="data">What it was trained on, a source of examples; the first one's prompt becomes the probe.</param>
    /// <param name="template">How the model sees a conversation: chat, plain or a .jinja file.</param>
    /// <exception cref="TrainingException">An unknown source, or an unknown template.</exception>
    /// <exception cref="EngineException">The checkpoint or the update is incomplete or broken.</exception>
    public static void Run(string model, string adapter, string data, string template)
    {
        using Tokenizer tokenizer = Tokenizer.Load(model);
        int[] prompt = PromptFormat.Of(template, model, tokenizer).Read(Sources.Examples(data)[0].Messages);
        AdapterManifest.Of(adapter, model, prompt, new(data, Sources.Hash(data)), validationLoss: null).Write(adapter);
    }
}
