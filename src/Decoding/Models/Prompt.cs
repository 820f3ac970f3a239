using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>The beginning of a sequence. It has one rendering per stream, since base and experts can have different templates.</summary>
/// <param name="Plan">The streams and their combination. A single model reads only the patch of its stream.</param>
/// <param name="Streams">The token ids of each of the plan's streams, in the plan's order (the base first).</param>
public sealed record Prompt(StreamPlan Plan, IReadOnlyList<ReadOnlyMemory<int>> Streams)
{
    /// <summary>
    /// The tenant of the request. Its sequences can use the prefix cache of its earlier sequences with the same tokens. Null does not use the
    /// prefix cache.
    /// </summary>
    public string? Tenant { get; init; }

    /// <summary>The largest number of tokens to append. Memory is reserved for them. The context may hold fewer.</summary>
    public int MaxAppended { get; init; } = int.MaxValue;

    /// <summary>The number of appended tokens that still belong to the prompt, because each is scored. The answer begins behind them.</summary>
    public int Scored { get; init; }

    /// <summary>
    /// Whether fused rows must be log-probabilities where the plan's equation has them. Otherwise they may be shifted by a constant, which no softmax sees.
    /// </summary>
    public bool ToScale { get; init; }

    /// <summary>The number of tokens of the base's rendering. The usage of a request reports it.</summary>
    public int TokenCount => Streams[0].Length;

    /// <summary>Whether the model of a stream runs behind a network.</summary>
    public bool IsRemote => Plan.Streams.Any(stream => stream.Model.Info.IsRemote);

    /// <summary>Makes a prompt for a single model.</summary>
    public static Prompt For(ILanguageModel model, ReadOnlyMemory<int> tokens, PatchSum? patch = null) =>
        new(new StreamPlan([new FusionStream(model, StreamRole.Base, 1, Patch: patch)]), [tokens]);
}

/// <summary>The models that answer a prompt: z = sum of w_k s_k. A fusion plan adds deltas, masks and schedules.</summary>
/// <param name="Streams">The streams, the base first.</param>
/// <param name="VocabularySize">
/// The number of tokens that the streams share, for rows that are wider than the tokenizer (padded vocabularies). Null takes the narrowest row.
/// Larger ids cannot be drawn.
/// </param>
public record StreamPlan(IReadOnlyList<FusionStream> Streams, int? VocabularySize = null)
{
    /// <summary>Whether <see cref="Sequence.Explain"/> will be called.</summary>
    public bool Trace { get; init; }
}

/// <summary>A stream: one model that reads one rendering of the prompt.</summary>
/// <param name="Model">A member of the ensemble.</param>
/// <param name="Role">The role, which determines the prompt template.</param>
/// <param name="Weight">The constant factor of its logits. Deltas are added to it. Default 0.</param>
/// <param name="Name">The name in a trace.</param>
/// <param name="Patch">A patch of the model for this stream. Streams of one model with different patches are rows of one pass.</param>
public sealed record FusionStream(ILanguageModel Model, StreamRole Role, float Weight = 0, string Name = "", PatchSum? Patch = null)
{
    /// <summary>The name of the model with its patch, for messages.</summary>
    public string ModelName => Patch is null ? Model.Info.Name : $"{Model.Info.Name} + {Patch.Name}";
}

public enum StreamRole
{
    Base,
    Expert,
    AntiExpert,

    /// <summary>The base reads the conversation without its context message (context-aware decoding).</summary>
    BaseWithoutContext,
}
