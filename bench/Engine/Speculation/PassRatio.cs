namespace ProxyTune.Bench.Speculation;

/// <summary>What a pass of the base costs in passes of the small model, both of one row and bare.</summary>
internal static class PassRatio
{
    private const int Steps = 96;
    private const int Rounds = 15;

    public static async Task MeasureAsync(IReadOnlyList<WidenedFamily> families, Report report)
    {
        BareDecoder[] decoders = [new(Path.Combine(families[0].Folder, WidenedFamily.Small), 1, Steps + 1), .. families.Select(family => new BareDecoder(family.Base, 1, Steps + 1))];
        Samples[] seconds = await Samples.InterleaveAsync(Rounds, [.. decoders.Select(decoder => (Func<Task<double>>)(() => Task.FromResult(Seconds(decoder))))]);
        Array.ForEach(decoders, decoder => decoder.Dispose());
        report.Line($"- a pass of {families[0].Describe(WidenedFamily.Small)}, fp32, as the experts: {Show(seconds[0])} microseconds");
        for (int i = 0; i < families.Count; i++)
        {
            report.Line($"- a pass of {families[i].Description}: {Show(seconds[i + 1])} microseconds, {seconds[i + 1].Over(seconds[0]).Show("0.0")} small passes");
        }

        report.Line();
    }

    private static string Show(Samples seconds) => seconds.Times(1e6).Show("0");

    private static double Seconds(BareDecoder decoder)
    {
        decoder.Restart();
        return Enumerable.Range(0, Steps).Sum(_ => decoder.Append([1])) / Steps;
    }
}
