using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Writes the manifest of a low-rank update of any origin.</summary>
internal static class Manifest
{
    /// <param name="model">The checkpoint that the update was trained on.</param>
    /// <param name="adapter">The folder of the update, in PEFT's layout; manifest.json is written there.</param>
    /// <param name="data">The source of examples that the update was trained on. The prompt of the first example becomes the probe.</param>
    /// <param name="template">The template of conversations for the model: chat, plain or a .jinja file.</param>
    /// <exception cref="TrainingException">The source or the template is unknown.</exception>
    /// <exception cref="EngineException">The checkpoint or the update is incomplete or broken.</exception>
    public static void Run(string model, string adapter, string data, string template)
    {
        using Tokenizer tokenizer = Tokenizer.Load(model);
        int[] prompt = PromptFormat.Of(template, model, tokenizer).Read(Sources.Examples(data)[0].Messages);
        AdapterManifest.Of(adapter, model, prompt, new(data, Sources.Hash(data)), validationLoss: null).Write(adapter);
    }
}
