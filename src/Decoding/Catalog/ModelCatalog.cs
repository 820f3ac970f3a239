using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Catalog;

/// <summary>Everything that a models folder serves, loaded and checked. Immutable.</summary>
public sealed class ModelCatalog : IDisposable
{
    /// <summary>
    /// Reads catalog.json (where present) and every model folder; folders without a catalog entry are served under their own name.
    /// </summary>
    /// <exception cref="EngineException">InvalidCatalog or InvalidModelFolder; the message names file and entry.</exception>
    public static ModelCatalog Load(string modelsFolder, EngineOptions options) => throw new NotImplementedException(modelsFolder + options);

    public IReadOnlyList<ServedModel> Models => throw new NotImplementedException();

    /// <summary>The ensemble over all members: what the scheduler runs.</summary>
    public ILanguageModel Ensemble => throw new NotImplementedException();

    /// <exception cref="EngineException">UnknownModel; the message lists the names there are.</exception>
    public ServedModel Get(string name) => throw new NotImplementedException(name);

    public void Dispose() => throw new NotImplementedException();
}

/// <summary>How models run.</summary>
public sealed record EngineOptions
{
    /// <summary><c>cpu</c> (default) or <c>cuda</c>; asking for cuda where it is missing is an error at start.</summary>
    public string ExecutionProvider { get; init; } = "cpu";

    /// <summary>Threads of the one pool that all members share; 0 takes the number of cores.</summary>
    public int Threads { get; init; }

    /// <summary>Rows of the KV arena per model, and so the most sequences of one model. Default 16.</summary>
    public int MaxSequences { get; init; } = 16;
}

/// <summary>What a request may change of a served model's fusion.</summary>
public sealed record FusionSettings
{
    public static FusionSettings Default { get; } = new();

    /// <summary>Scales every expert's default weight; null keeps the served model's own.</summary>
    public double? Alpha { get; init; }

    /// <summary>Weights by expert name, replacing the defaults; experts not named keep theirs. Null changes none.</summary>
    public IReadOnlyDictionary<string, double>? Experts { get; init; }
}

/// <summary>One name under which clients reach a base and its experts. Immutable, thread-safe.</summary>
public sealed class ServedModel
{
    public string Name => throw new NotImplementedException();

    public string Description => throw new NotImplementedException();

    public DateTimeOffset Created => throw new NotImplementedException();

    /// <summary>fp_ and 16 hex digits made of all member hashes and the rule; OpenAI's system_fingerprint.</summary>
    public string Fingerprint => throw new NotImplementedException();

    /// <summary>The smallest context among the members.</summary>
    public int ContextLength => throw new NotImplementedException();

    public Tokenizer Tokenizer => throw new NotImplementedException();

    /// <summary>Streams and weights for one request.</summary>
    /// <exception cref="EngineException">UnknownExpert or InvalidValue, naming the field (<c>fusion.alpha</c>, <c>fusion.experts.NAME</c>), the value and the range.</exception>
    public FusionPlan Plan(FusionSettings settings) => throw new NotImplementedException(settings.ToString());

    /// <summary>What was applied, by expert name: for the response.</summary>
    public IReadOnlyDictionary<string, double> AppliedWeights(FusionSettings settings) => throw new NotImplementedException(settings.ToString());

    /// <summary>Renders a conversation once per stream, each with its role's template.</summary>
    public Prompt Render(FusionPlan plan, IReadOnlyList<ChatMessage> messages) => throw new NotImplementedException(plan.ToString() + messages);

    /// <summary>The same plain text for every stream.</summary>
    public Prompt Render(FusionPlan plan, string text) => throw new NotImplementedException(plan.ToString() + text);

    /// <summary>The same token ids for every stream.</summary>
    public Prompt Render(FusionPlan plan, ReadOnlyMemory<int> tokens) => throw new NotImplementedException(plan.ToString() + tokens);
}
