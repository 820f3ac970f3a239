using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>Where a sequence starts: one rendering per stream, since base and experts may have templates of their own.</summary>
/// <param name="Plan">The streams and how they are combined; a model that is no ensemble reads the patch of its only stream and nothing else.</param>
/// <param name="Streams">Token ids, one array for each of the plan's streams, in the plan's order (the base first).</param>
public sealed record Prompt(StreamPlan Plan, IReadOnlyList<ReadOnlyMemory<int>> Streams)
{
    /// <summary>
    /// The tenant that asks: its sequences may start from keys and values of its own earlier ones, if the tokens are the same. Null keeps
    /// nothing and looks for nothing.
    /// </summary>
    public string? Tenant { get; init; }

    /// <summary>The most tokens that will be appended; memory is reserved for them. The context may hold fewer.</summary>
    public int MaxAppended { get; init; } = int.MaxValue;

    /// <summary>Tokens of the base's rendering; the usage of a request reports this number.</summary>
    public int TokenCount => Streams[0].Length;

    /// <summary>Whether a stream's model runs behind a network.</summary>
    public bool IsRemote => Plan.Streams.Any(stream => stream.Model.Info.IsRemote);

    /// <summary>A prompt for one model alone.</summary>
    public static Prompt For(ILanguageModel model, ReadOnlyMemory<int> tokens, PatchSum? patch = null) =>
        new(new StreamPlan([new FusionStream(model, StreamRole.Base, 1, Patch: patch)]), [tokens]);
}

/// <summary>The models that answer a prompt: z = sum of w_k s_k. A plan of fusion adds deltas, masks and schedules to it.</summary>
/// <param name="Streams">The base comes first.</param>
/// <param name="VocabularySize">
/// Tokens that the streams share, when their rows are wider than the tokenizer (padded vocabularies); null takes the narrowest row.
/// Ids beyond it cannot be drawn.
/// </param>
public record StreamPlan(IReadOnlyList<FusionStream> Streams, int? VocabularySize = null)
{
    /// <summary>Whether <see cref="Sequence.Explain"/> will be called.</summary>
    public bool Trace { get; init; }
}

/// <summary>One model reading one rendering of the prompt.</summary>
/// <param name="Model">A member of the ensemble.</param>
/// <param name="Role">Decides which prompt template it reads.</param>
/// <param name="Weight">Constant factor of its logits, beside what deltas add to it. Default 0.</param>
/// <param name="Name">Its name in a trace.</param>
/// <param name="Patch">An update of the model's weights for this stream alone; streams of one model are rows of one pass, whatever their patches.</param>
public sealed record FusionStream(ILanguageModel Model, StreamRole Role, float Weight = 0, string Name = "", PatchSum? Patch = null)
{
    /// <summary>The model with its patch, for messages.</summary>
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
