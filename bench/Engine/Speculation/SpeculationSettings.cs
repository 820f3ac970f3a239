namespace ProxyTune.Bench.Speculation;

/// <summary>How long to measure.</summary>
/// <param name="Questions">Asked in each round, equal parts of each kind.</param>
internal sealed record SpeculationSettings(int Rounds, int Questions)
{
    public static SpeculationSettings Full { get; } = new(9, 12);

    public static SpeculationSettings Quick { get; } = new(2, 3);
}
