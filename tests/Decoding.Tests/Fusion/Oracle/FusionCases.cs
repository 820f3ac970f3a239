using ProxyTune.Decoding.Serving;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Every method in its variants, every mask, every schedule.</summary>
internal static class FusionCases
{
    public static IReadOnlyList<AskedFusion> Methods { get; } =
    [
        new() { Method = "none" },
        Experts("proxy", 1, ("one", 1)),
        Experts("proxy", 1.7, ("one", 0.5), ("two", 1), ("three", 0.25)),
        Experts("proxy", 0, ("one", 1)),
        Experts("proxy", 1, ("one", -0.7), ("two", 0.3)),
        Experts("eft", 0.6, ("one", 1)),
        Experts("eft", 1, ("one", 0.3), ("two", 0.7)),
        Experts("eft", 1, ("one", 1)) with { Amplification = 1.4 },
        Experts("eft", 0, ("one", 1)) with { Amplification = 0.5 },
        Experts("eft", 1.3, ("one", 0.4), ("two", 0.6)) with { Amplification = 1.2 },
        Experts("eft", 1, ("one", 3), ("two", 1)) with { Normalise = true },
        Experts("dexperts", 2, ("three", 1)),
        Experts("divergence", 1.5, ("one", 1)),
        Experts("divergence", 0, ("two", 1)),
        Experts("divergence", 0.7, ("one", 1), ("three", 0.5)) with { SpecialTokens = "base" },
        Experts("proxy", 2, ("one", 1)) with { SpecialTokens = "base" },
        Experts("proxy", 1, ("two", 1)) with { SpecialTokens = "fused" },
        Experts("dynamic", null, ("one", 1)),
        Experts("dynamic", null, ("one", 1), ("two", 1), ("three", 1)),
        Experts("dynamic", null, ("one", 1), ("two", 1), ("three", 1)) with { Mode = "joint" },
        Experts("dynamic", null, ("one", 1), ("three", 1)) with { Search = "grid" },
        new() { Method = "contrastive", Alpha = 1 },
        new() { Method = "contrastive", Alpha = 0.5 },
        new() { Method = "contrastive", Alpha = 0.5, SpecialTokens = "base" },
        new() { Method = "context_aware", Alpha = 0.5 },
        new() { Method = "context_aware", Alpha = -1 },
    ];

    public static IReadOnlyList<AskedFusion> Rewards { get; } =
        [Experts("portable_reward", 1, ("one", 1)), Experts("portable_reward", 1.5, ("one", 0.5), ("two", -1))];

    public static IReadOnlyList<AskedFusion> DownScaling { get; } =
        [Experts("eft", 1, ("large-tuned", 1)), Experts("eft", 0.8, ("large-tuned", 1)) with { Amplification = 1.5 }];

    public static IReadOnlyDictionary<string, MaskSettings> Masks { get; } = new Dictionary<string, MaskSettings>
    {
        ["none"] = MaskSettings.None,
        ["ratio"] = new() { Kind = "ratio", Ratio = 0.1 },
        ["nucleus"] = new() { Kind = "nucleus", P = 0.9 },
        ["nucleus of the expert"] = new() { Kind = "nucleus", P = 0.8, Of = "expert" },
        ["top_k"] = new() { Kind = "top_k", K = 3 },
        ["top_k above the width"] = new() { Kind = "top_k", K = 5000 },
        ["rank"] = new() { Kind = "rank" },
        ["rank of one"] = new() { Kind = "rank", K = 1 },
        ["rank above the width"] = new() { Kind = "rank", K = 5000 },
        ["delta"] = new() { Kind = "delta", P = 0.85 },
        ["a single token"] = new() { Kind = "ratio", Ratio = 1 },
    };

    public static IReadOnlyList<ScheduleSettings> Schedules { get; } =
    [
        ScheduleSettings.Constant,
        new() { Kind = "warm_up", Tokens = 2 },
        new() { Kind = "linear", Tokens = 4, From = 0.25 },
        new() { Kind = "linear", Tokens = 3 },
        new() { Kind = "gated", Threshold = 0.5 },
        new() { Kind = "gated" },
    ];

    /// <summary>Whether the catalog accepts the method with the mask.</summary>
    public static bool Fits(AskedFusion method, MaskSettings mask) =>
        (mask.Kind != "rank" || method.Method == "divergence")
        && (mask.Kind != "delta" || (method.Method == "eft" && method.Experts!.Values.Count(weight => weight != 0) == 1))
        && (mask.Of != "expert" || method.Experts is not null);

    private static AskedFusion Experts(string method, double? alpha, params (string Name, double Weight)[] experts) =>
        new() { Method = method, Alpha = alpha, Experts = experts.ToDictionary(e => e.Name, e => e.Weight) };
}
