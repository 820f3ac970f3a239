namespace ProxyTune.Bench.Speculation;

/// <summary>How much to measure.</summary>
/// <param name="Rounds">Measurements of each figure.</param>
/// <param name="Questions">Number of questions in each round, equally many of each kind.</param>
internal sealed record SpeculationSettings(int Rounds, int Questions)
{
    public static SpeculationSettings Full { get; } = new(9, 12);

    public static SpeculationSettings Quick { get; } = new(2, 3);
}
