namespace ProxyTune.Bench;

/// <summary>Measures experts that are patches of one small base. They are rows of its pass, next to their anti-expert.</summary>
internal static class PatchedExperts
{
    private const int Patches = 8;
    private const int Streams = 16;
    private const int PromptTokens = 32;

    public static async Task MeasureAsync(Family family, Report report, Settings settings)
    {
        using PatchedStreams streams = new(family.Members[0], family.Members[^1], Patches, Streams);
        int[] counts = [1, 2, 4];
        Samples[] alone = await Samples.InterleaveAsync(settings.Rounds, [.. counts.Select(count => streams.Timing(PromptTokens, settings.Tokens, 1, count))]);
        report.Table(
            $"Experts that are patches of rank {PatchedStreams.Rank} at all linear nodes, rows of one pass of `{Path.GetFileName(family.Members[^1])}` with their anti-expert",
            ["one stream", "microseconds a token", "/ one expert"],
            [.. counts.Zip(alone, (count, samples) => new[] { $"experts: {count}", Micro(samples), samples.Over(alone[0]).Show("0.00") })]);

        Samples[] together = await Samples.InterleaveAsync(
            settings.Rounds,
            streams.Timing(PromptTokens, settings.Tokens, [.. Enumerable.Repeat<int[]>([0], Streams)]),
            streams.Timing(PromptTokens, settings.Tokens, Streams, 1));
        report.Table(
            $"{Streams} streams of one expert each",
            ["patches", "microseconds a step", "/ one patch"],
            ["one for all streams", Micro(together[0]), ""],
            [$"{Patches} different patches", Micro(together[1]), together[1].Over(together[0]).Show("0.00")]);

        static string Micro(Samples samples) => samples.Times(1e6).Show("0");
    }
}
