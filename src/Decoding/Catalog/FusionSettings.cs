namespace ProxyTune.Decoding.Catalog;

/// <summary>What a request may change of a served model's fusion.</summary>
public sealed record FusionSettings
{
    public static FusionSettings Default { get; } = new();

    /// <summary>Scales every expert's weight; null keeps the served model's own.</summary>
    public double? Alpha { get; init; }

    /// <summary>Weights by expert name, replacing the defaults; experts not named keep theirs. Null changes none.</summary>
    public IReadOnlyDictionary<string, double>? Experts { get; init; }
}
