using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Serving;

/// <summary>A named way of choosing streams, weights and mask. All are one primitive; docs/decoding.md has their equations. A new method is one row here.</summary>
/// <param name="Name">As in catalog.json and requests.</param>
/// <param name="Members">What it needs beside the base.</param>
/// <param name="DefaultAlpha">Its paper's strength; null where alpha has no meaning.</param>
public sealed record FusionMethod(string Name, MethodMembers Members, double? DefaultAlpha = null)
{
    /// <summary>The base alone.</summary>
    public static FusionMethod None { get; } = new("none", MethodMembers.None);

    /// <summary>s_M + a sum of w_i (s+_i - s-_i). Liu et al. 2024.</summary>
    public static FusionMethod Proxy { get; } = new("proxy", MethodMembers.Pairs, 1);

    /// <summary>log p_M + b sum of l_i (log p+_i - log p-_i) + (g - 1)(log p_M - log p-), the l_i summing to 1. Mitchell et al. 2023.</summary>
    public static FusionMethod Eft { get; } = new("eft", MethodMembers.Pairs, 1) { Scale = RowScale.Logprobs };

    /// <summary>Proxy-tuning with a weight per token that moves the base as far as tuning moved the expert. Fan et al. 2024.</summary>
    public static FusionMethod Dynamic { get; } = new("dynamic", MethodMembers.Pairs) { NeedsWholeRows = true, Rule = DynamicRule };

    /// <summary>As proxy, against an anti-expert that is tuned on what is unwanted. Liu et al. 2021.</summary>
    public static FusionMethod Dexperts { get; } = new("dexperts", MethodMembers.Pairs, 2) { DefaultMask = new() { Kind = MaskSettings.NucleusKind, P = 0.9 } };

    /// <summary>log p_M - c log p_amateur. Li et al. 2022.</summary>
    public static FusionMethod Contrastive { get; } = new("contrastive", MethodMembers.Amateur, 1)
    {
        DefaultMask = new() { Kind = MaskSettings.RatioKind, Ratio = 0.1 },
        Scale = RowScale.Logprobs,
    };

    /// <summary>(1 + a) s(context, query) - a s(query), one model twice. Shi et al. 2023.</summary>
    public static FusionMethod ContextAware { get; } = new("context_aware", MethodMembers.BaseWithoutContext, 0.5) { NeedsWholeRows = true };

    /// <summary>log p_M + a sum of w_i r_i, r trained for it by the recipe prt. PRT, ICML 2025.</summary>
    public static FusionMethod PortableReward { get; } = new("portable_reward", MethodMembers.Rewards, 1) { Scale = RowScale.BaseLogprobs };

    /// <summary>s_M + a sum of w_i (s_retain,i - s_forget,i): the anti-expert is tuned on what shall be forgotten. arXiv 2605.31293.</summary>
    public static FusionMethod Divergence { get; } = new("divergence", MethodMembers.Pairs, 1.5);

    public static IReadOnlyList<FusionMethod> All { get; } = [None, Proxy, Eft, Dynamic, Dexperts, Contrastive, ContextAware, PortableReward, Divergence];

    public static string Names => string.Join(", ", All.Select(method => method.Name));

    /// <summary>Its paper's candidate mask.</summary>
    public MaskSettings DefaultMask { get; init; } = MaskSettings.None;

    /// <summary>
    /// Whether it needs the probabilities of all tokens, which a remote base does not name: the weights of dynamic come from the whole distribution, and
    /// context_aware divides by a distribution in which a missing token may be arbitrarily unlikely.
    /// </summary>
    internal bool NeedsWholeRows { get; init; }

    /// <summary>Whether its equation has logits or log-probabilities, which a repetition penalty sees.</summary>
    internal RowScale Scale { get; init; }

    /// <summary>Makes the rule that chooses the deltas' weights at each token; null leaves the weights as they are.</summary>
    internal Func<ServedModel, SettledFusion, IFusionRule>? Rule { get; init; }

    internal bool TakesExperts => Members is MethodMembers.Pairs or MethodMembers.Rewards;

    /// <summary>The roles whose prompts a request can set.</summary>
    internal IEnumerable<StreamRole> Roles => Members switch
    {
        MethodMembers.Pairs => [StreamRole.Base, StreamRole.Expert, StreamRole.AntiExpert],
        MethodMembers.Rewards => [StreamRole.Base, StreamRole.Expert],
        MethodMembers.Amateur => [StreamRole.Base, StreamRole.AntiExpert],
        _ => [StreamRole.Base],
    };

    /// <summary>The method of that name, or null.</summary>
    public static FusionMethod? Find(string? name) => All.FirstOrDefault(method => method.Name == name);

    /// <summary>Members in words, for messages.</summary>
    internal static string Needs(MethodMembers members) => members switch
    {
        MethodMembers.Pairs => "experts with anti-experts",
        MethodMembers.Rewards => "experts without anti-experts",
        _ => "an amateur",
    };

    private static DynamicFusion DynamicRule(ServedModel model, SettledFusion settled) => new(new DynamicOptions
    {
        Mode = settled.Values.Mode == FusionDefaults.SingleMode ? DynamicMode.Single : DynamicMode.Joint,
        Search = settled.Values.Search == FusionDefaults.GridSearch ? DynamicSearch.Grid : DynamicSearch.ClosedForm,
        Minimum = (float)settled.Values.Floor!.Value,
        Maximum = (float)model.Defaults.Alpha.Maximum,
    });
}

/// <summary>Which members a method needs beside the base.</summary>
public enum MethodMembers
{
    None,

    /// <summary>Experts, each with an anti-expert.</summary>
    Pairs,

    /// <summary>Experts without anti-experts.</summary>
    Rewards,

    /// <summary>One smaller model.</summary>
    Amateur,

    /// <summary>The base a second time. It reads the conversation without the context message.</summary>
    BaseWithoutContext,
}

/// <summary>The fusion of a served model where a request says nothing, and the ranges of what a request may ask for.</summary>
/// <param name="Method">The served model's own.</param>
/// <param name="Methods">The methods that any request may choose, including the own one. The others are for operators.</param>
/// <param name="Own">The settings of the catalogue's entry; null where it gives none.</param>
/// <param name="Alpha">The strength; it scales all deltas together.</param>
/// <param name="Amplification">EFT's g.</param>
/// <param name="Floor">The smallest weight of dynamic fusion.</param>
public sealed record FusionDefaults(
    FusionMethod Method, IReadOnlyList<FusionMethod> Methods, FusionSettings Own, BoundedWeight Alpha, BoundedWeight Amplification, BoundedWeight Floor)
{
    public const string SingleMode = "single";
    public const string JointMode = "joint";
    public const string ClosedFormSearch = "closed_form";
    public const string GridSearch = "grid";
    public const string FusedSpecialTokens = "fused";
    public const string BaseSpecialTokens = "base";

    /// <summary>Of <see cref="Amplification"/>: 1 is plain up-scaling.</summary>
    internal const double UsualAmplification = 1;
    internal const double UsualMaxAmplification = 2;

    /// <summary>Dynamic fusion seeks its weights from 0 to the end of alpha's range.</summary>
    internal bool HasRoomForDynamic => Alpha.Maximum is > 0 and <= DynamicOptions.MaxMaximum;
}

/// <summary>A number and the range that a request may ask for instead. Values below 0 un-align a model, so the operator decides whether a range has any.</summary>
public sealed record BoundedWeight(double Default, double Minimum, double Maximum)
{
    public const double UsualDefault = 1;
    public const double UsualMinimum = 0;
    public const double UsualMaximum = 2;

    internal bool Contains(double value) => value >= Minimum && value <= Maximum;
}
