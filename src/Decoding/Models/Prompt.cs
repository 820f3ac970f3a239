using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Where a sequence starts: one rendering per stream, since base and experts may have templates of their own.
/// </summary>
/// <param name="Plan">The streams and their weights; a plain model looks at nothing but the patch of its only stream.</param>
/// <param name="Streams">Token ids, one array for each of the plan's streams, in the plan's order (the base first).</param>
public sealed record Prompt(FusionPlan Plan, IReadOnlyList<ReadOnlyMemory<int>> Streams)
{
    /// <summary>
    /// On whose behalf: sequences of one tenant may begin with keys and values of its earlier ones, if the tokens are the same. Null keeps
    /// nothing and looks for nothing.
    /// </summary>
    public string? Tenant { get; init; }

    /// <summary>How many tokens will be appended at most; memory is reserved for them. The context may hold less.</summary>
    public int MaxAppended { get; init; } = int.MaxValue;

    /// <summary>Tokens of the base's rendering: what a user is told under usage.</summary>
    public int TokenCount => Streams[0].Length;

    /// <summary>Whether a stream's model runs behind a network.</summary>
    public bool IsRemote => Plan.Streams.Any(stream => stream.Model.Info.IsRemote);

    /// <summary>A prompt for one model alone.</summary>
    public static Prompt For(ILanguageModel model, ReadOnlyMemory<int> tokens, PatchSum? patch = null) =>
        new(new FusionPlan([new FusionStream(model, StreamRole.Base, 1, Patch: patch)]), [tokens]);
}
