using System.Diagnostics;

namespace ProxyTune.Bench;

/// <summary>Measures a gateway process over HTTP. Its clients run on the same cores.</summary>
internal static class OverHttp
{
    private const int Starts = 5;
    private const int CachedTokens = 512, NewTokens = 16;
    private static readonly int[] PromptLengths = [32, 512];

    public static async Task<string[]> ThroughputAsync(Family family, Settings settings)
    {
        await using GatewayProcess gateway = await GatewayProcess.StartAsync(family.Folder);
        Samples[] rates = await Samples.InterleaveAsync(settings.Rounds, () => RunAsync(1), () => RunAsync(Throughput.Streams));
        return Throughput.Row("fused, over HTTP, streamed, clients on the same cores", rates[0], rates[1]);

        async Task<double> RunAsync(int streams)
        {
            long start = Stopwatch.GetTimestamp();
            await Task.WhenAll(Enumerable.Range(0, streams).Select(
                i => CompletionCall.RunAsync(gateway.Http, family, Throughput.PromptTokens, settings.Tokens, i)));
            return streams * settings.Tokens / Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
    }

    public static async Task FirstTokenAsync(Family family, Report report, Settings settings)
    {
        int[] lengths = [.. PromptLengths.Where(length => length < family.ContextLength)];
        await using GatewayProcess gateway = await GatewayProcess.StartAsync(family.Folder);
        int variant = 0;
        Samples[] milliseconds = await Samples.InterleaveAsync(
            settings.FirstTokens,
            [.. lengths.Select(length => (Func<Task<double>>)(async () => 1000 * await CompletionCall.RunAsync(gateway.Http, family, length, 1, variant++)))]);
        report.Table(
            $"Time to first token over HTTP, {settings.FirstTokens} requests one after another",
            ["prompt", "milliseconds, median (quartiles)", "95th percentile"],
            [.. lengths.Zip(milliseconds, (length, samples) => new[] { $"{length} tokens", samples.Show("0.0"), samples.ShowTail("0.0") })]);
        if (CachedTokens + NewTokens < family.ContextLength)
        {
            await PrefixCacheAsync(gateway, family, report, settings);
        }
    }

    /// <summary>Compares a prompt that finds its beginning in the prefix cache with one that does not.</summary>
    private static async Task PrefixCacheAsync(GatewayProcess gateway, Family family, Report report, Settings settings)
    {
        int variant = 1 << 20;
        int[] cached = family.Tokens(CachedTokens, variant);
        Samples[] milliseconds = await Samples.InterleaveAsync(
            settings.FirstTokens, () => RunAsync("cached"), () => RunAsync(Guid.NewGuid().ToString()));
        report.Table(
            $"Time to first token over HTTP with the prefix cache, {CachedTokens + NewTokens} tokens of prompt",
            ["prompt", "milliseconds, median (quartiles)", "ratio"],
            ["nothing cached", milliseconds[1].Show("0.0"), "1.00"],
            [$"{CachedTokens} tokens cached", milliseconds[0].Show("0.0"), milliseconds[0].Over(milliseconds[1]).Show("0.000")]);

        async Task<double> RunAsync(string salt) =>
            1000 * await CompletionCall.RunAsync(gateway.Http, family, [.. cached, .. family.Tokens(NewTokens, ++variant)], 1, variant, salt);
    }

    public static async Task StartUpAsync(Family family, Report report, Settings settings)
    {
        List<double> seconds = [], resident = [], loaded = [], peaks = [];
        for (int i = 0; i < Starts; i++)
        {
            await using GatewayProcess gateway = await GatewayProcess.StartAsync(family.Folder);
            seconds.Add(gateway.ColdStart.TotalSeconds);
            resident.Add(gateway.Resident);
            await Task.WhenAll(Enumerable.Range(0, Throughput.Streams).Select(
                variant => CompletionCall.RunAsync(gateway.Http, family, Throughput.PromptTokens, settings.Tokens, variant)));
            loaded.Add(gateway.Resident);
            peaks.Add(gateway.PeakResident);
        }

        report.Table(
            $"Start and memory, {Starts} starts",
            ["measure", "median (quartiles)"],
            ["start of the process to 200 from /readyz, files in the page cache", $"{new Samples(seconds).Show("0.00")} s"],
            ["resident memory after the start", $"{new Samples(resident).Show("0")} MiB"],
            [$"resident memory after {Throughput.Streams} requests at once", $"{new Samples(loaded).Show("0")} MiB"],
            ["peak resident memory", $"{new Samples(peaks).Show("0")} MiB"]);
    }
}
