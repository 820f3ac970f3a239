namespace ProxyTune.Bench.Speculation;

/// <summary>Where the time of a token goes, in microseconds.</summary>
/// <param name="Experts">Passes of the expert, which drafts.</param>
/// <param name="Rest">Fusion, draws, binding, scheduling, and handing the tokens over.</param>
internal readonly record struct StepParts(double Base, double Experts, double AntiExpert, double Rest)
{
    public static StepParts Of(TimeSpan all, TimeSpan @base, TimeSpan experts, TimeSpan antiExpert) =>
        new(@base.TotalMicroseconds, experts.TotalMicroseconds, antiExpert.TotalMicroseconds, (all - @base - experts - antiExpert).TotalMicroseconds);
}
