using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Serving;

/// <summary>One model folder, loaded, with patches or without; or a remote model, with the folder of its tokenizer.</summary>
/// <param name="Template">Its own chat template; null for a model that was never tuned to chat.</param>
internal sealed record LoadedModel(string Folder, ILanguageModel Model, Tokenizer Tokenizer, ChatTemplate? Template)
{
    /// <summary>What the catalog calls the folder; empty for what is no folder as it is.</summary>
    public string Name { get; init; } = "";

    public DateTimeOffset Written => File.GetLastWriteTimeUtc(Path.Combine(Folder, Model.Info.IsRemote ? FileNames.Tokenizer : FileNames.GenAiConfig));

    /// <param name="memory">The budget that it shares with the other members.</param>
    /// <param name="patches">Merged into the weights; null for none.</param>
    /// <param name="templates">Renders its template, where its author need not be trusted.</param>
    /// <exception cref="EngineException">InvalidModelFolder with the folder and file at fault.</exception>
    public static LoadedModel Load(string folder, EngineOptions options, KeyValueMemory memory, IReadOnlyList<WeightedPatch>? patches = null, ITemplateRenderer? templates = null)
    {
        // The tokenizer first: it is read in no time, and much that is wrong with a folder shows there.
        Tokenizer tokenizer = Tokenizer.Load(folder);
        try
        {
            ChatTemplate? template = ChatTemplate.TryLoad(folder, templates);
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
