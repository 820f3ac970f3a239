namespace ProxyTune.Bench.Speculation;

/// <summary>Time per token by part, in microseconds.</summary>
/// <param name="Experts">Passes of the expert, including those that draft.</param>
/// <param name="Rest">Fusion, draws, binding, scheduling, and the transfer of tokens to the reader.</param>
internal readonly record struct StepTimes(double Base, double Experts, double AntiExpert, double Rest)
{
    public static StepTimes Of(TimeSpan all, TimeSpan @base, TimeSpan experts, TimeSpan antiExpert) =>
        new(@base.TotalMicroseconds, experts.TotalMicroseconds, antiExpert.TotalMicroseconds, (all - @base - experts - antiExpert).TotalMicroseconds);
}
