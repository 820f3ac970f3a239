using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Import;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Serving;

/// <summary>A loaded model folder, with or without merged patches; or a remote model, with the folder of its tokenizer.</summary>
/// <param name="Template">Its own chat template; null for a model that was never tuned to chat.</param>
internal sealed record LoadedModel(string Folder, ILanguageModel Model, Tokenizer Tokenizer, ChatTemplate? Template)
{
    /// <summary>Name of the folder; empty for a merge and a remote model.</summary>
    public string Name { get; init; } = "";

    /// <summary>Where an imported folder came from; null for other folders.</summary>
    public ImportRecord? Origin { get; } = Model.Info.IsRemote ? null : ImportRecord.TryRead(Folder);

    public DateTimeOffset Written => File.GetLastWriteTimeUtc(Path.Combine(Folder, Model.Info.IsRemote ? FileNames.Tokenizer : GenAiConfig.IsPlainExport(Folder) ? FileNames.Config : FileNames.GenAiConfig));

    /// <param name="memory">The budget for keys and values that all models share.</param>
    /// <param name="patches">Merged into the weights; null for none.</param>
    /// <exception cref="EngineException">InvalidModelFolder with the folder and file at fault.</exception>
    public static LoadedModel Load(string folder, EngineOptions options, KeyValueMemory memory, IReadOnlyList<WeightedPatch>? patches = null)
    {
        // The tokenizer comes first: it loads fast, and shows many mistakes in a folder.
        Tokenizer tokenizer = Tokenizer.Load(folder);
        try
        {
            ChatTemplate? template = ChatTemplate.TryLoad(folder);
            OnnxLanguageModel model = patches is null ? OnnxLanguageModel.Load(folder, options, memory: memory) : MergedModel.Load(folder, patches, options, memory);
            return new LoadedModel(folder, model, tokenizer, template);
        }
        catch
        {
            tokenizer.Dispose();
            throw;
        }
    }
}
