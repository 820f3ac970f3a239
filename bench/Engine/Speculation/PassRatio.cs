namespace ProxyTune.Bench.Speculation;

/// <summary>Measures the ratio of a bare pass of the base to a bare pass of the small model, both with one row.</summary>
internal static class PassRatio
{
    private const int Steps = 48;
    private const int Rounds = 9;

    public static async Task MeasureAsync(IReadOnlyList<WidenedFamily> families, Report report)
    {
        foreach (WidenedFamily family in families)
        {
            using BareDecoder large = new(family.Base, 1, Steps + 1), small = new(Path.Combine(family.Folder, WidenedFamily.Small), 1, Steps + 1);
            Samples[] alone = await Samples.InterleaveAsync(
                Rounds,
                () => Seconds(large),
                () => Seconds(small),
                () =>
                {
                    large.Restart();
                    return Seconds(small, () => large.Append([1]));
                });
            report.Line(
                $"- a pass of {family.Description}: {Show(alone[0])} microseconds; of {family.Describe(WidenedFamily.Small)}: {Show(alone[1])}, right after a pass of the base {Show(alone[2])}. " +
                $"So a pass of the base costs {alone[0].Over(alone[1]).Show("0.0")} passes of the small model, or {alone[0].Over(alone[2]).Show("0.0")} right after the base.");
        }

        report.Line();
    }

    private static string Show(Samples seconds) => seconds.Times(1e6).Show("0");

    private static Task<double> Seconds(BareDecoder decoder, Action? before = null)
    {
        decoder.Restart();
        double sum = 0;
        for (int i = 0; i < Steps; i++)
        {
            before?.Invoke();
            sum += decoder.Append([1]);
        }

        return Task.FromResult(sum / Steps);
    }
}
