using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Serving;

/// <summary>A named way of choosing streams, weights and mask. All are one primitive; docs/decoding.md has their equations.</summary>
/// <param name="Name">As in catalog.json and requests.</param>
/// <param name="Members">What it is made of beside the base.</param>
/// <param name="DefaultAlpha">Its paper's strength; null where alpha has no meaning.</param>
/// <param name="DefaultMask">Its paper's candidate mask.</param>
public sealed record FusionMethod(string Name, MethodMembers Members, double? DefaultAlpha, MaskSettings DefaultMask)
{
    /// <summary>The base alone.</summary>
    public static FusionMethod None { get; } = new("none", MethodMembers.None, null, MaskSettings.None);

    /// <summary>s_M + a sum of w_i (s+_i - s-_i). Liu et al. 2024.</summary>
    public static FusionMethod Proxy { get; } = new("proxy", MethodMembers.Pairs, 1, MaskSettings.None);

    /// <summary>log p_M + b sum of l_i (log p+_i - log p-_i) + (g - 1)(log p_M - log p-), the l_i summing to 1. Mitchell et al. 2023.</summary>
    public static FusionMethod Eft { get; } = new("eft", MethodMembers.Pairs, 1, MaskSettings.None);

    /// <summary>Proxy-tuning with a weight per token that moves the base as far as tuning moved the expert. Fan et al. 2024.</summary>
    public static FusionMethod Dynamic { get; } = new("dynamic", MethodMembers.Pairs, null, MaskSettings.None);

    /// <summary>As proxy, against an anti-expert that is tuned on what is unwanted. Liu et al. 2021.</summary>
    public static FusionMethod Dexperts { get; } = new("dexperts", MethodMembers.Pairs, 2, new MaskSettings { Kind = MaskSettings.NucleusKind, P = 0.9 });

    /// <summary>log p_M - c log p_amateur. Li et al. 2022.</summary>
    public static FusionMethod Contrastive { get; } = new("contrastive", MethodMembers.Amateur, 1, new MaskSettings { Kind = MaskSettings.RatioKind, Ratio = 0.1 });

    /// <summary>(1 + a) s(context, query) - a s(query), one model twice. Shi et al. 2023.</summary>
    public static FusionMethod ContextAware { get; } = new("context_aware", MethodMembers.None, 0.5, MaskSettings.None);

    /// <summary>log p_M + a sum of w_i r_i, r trained for it by the recipe prt. PRT, ICML 2025.</summary>
    public static FusionMethod PortableReward { get; } = new("portable_reward", MethodMembers.Rewards, 1, MaskSettings.None);

    /// <summary>Whose prompts can be set.</summary>
    internal IEnumerable<StreamRole> Roles => Members switch
    {
        MethodMembers.Pairs => [StreamRole.Base, StreamRole.Expert, StreamRole.AntiExpert],
        MethodMembers.Rewards => [StreamRole.Base, StreamRole.Expert],
        MethodMembers.Amateur => [StreamRole.Base, StreamRole.AntiExpert],
        _ => [StreamRole.Base],
    };

    public static IReadOnlyList<FusionMethod> All { get; } = [None, Proxy, Eft, Dynamic, Dexperts, Contrastive, ContextAware, PortableReward];

    /// <summary>
    /// Whether it cannot do with a base that names only its likeliest tokens: the weights of dynamic come from the whole distribution, and
    /// context_aware divides by one, which a missing token may make as small as it likes.
    /// </summary>
    internal bool NeedsWholeRows => this == Dynamic || this == ContextAware;

    /// <summary>The method of that name, or null.</summary>
    public static FusionMethod? Find(string? name) => All.FirstOrDefault(method => method.Name == name);

    public static string Names => string.Join(", ", All.Select(method => method.Name));
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
}
