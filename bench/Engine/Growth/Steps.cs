using ProxyTune.Bench.Speculation;

namespace ProxyTune.Bench.Growth;

/// <summary>Measures decoding steps of fused streams whose experts are patches, and of the base alone.</summary>
internal sealed class Steps(WidenedFamily family) : IDisposable
{
    private const int MaxStreams = 16;
    private const int Experts = 8;
    private const int Count = 24;
    private const int Context = 128;

    private readonly PatchedStreams streams = new(family.Base, Path.Combine(family.Folder, WidenedFamily.Small), Experts, MaxStreams);

    public async Task<Curve> StreamsAsync(int rounds)
    {
        int[] sizes = [1, 2, 4, 8, MaxStreams];
        BareDecoder[] bare = [.. sizes.Select(rows => new BareDecoder(family.Base, rows, Context + Count))];
        Samples[] all = await MeasureAsync(rounds, [.. sizes.Select(size => streams.Timing(Context, Count, size, 1)), .. bare.Select(decoder => Bare(decoder, Context))]);
        Array.ForEach(bare, decoder => decoder.Dispose());
        Samples[] fused = all[..sizes.Length];
        return new(
            $"A step by number of streams, each fused with one patch, context {Context}",
            "streams",
            sizes,
            "microseconds",
            ("fused step", fused),
            ("fused step per stream", [.. fused.Zip(sizes, (cost, size) => cost.Times(1.0 / size))]),
            ("bare pass of the base", all[sizes.Length..]));
    }

    public async Task<Curve> ContextAsync(int rounds)
    {
        int longest = streams.ContextLength - Count;
        int[] sizes = [32, longest / 4, longest / 2, longest * 3 / 4, longest];
        using BareDecoder bare = new(family.Base, 1, streams.ContextLength);
        Samples[] all = await MeasureAsync(rounds, [.. sizes.Select(size => streams.Timing(size, Count, 1, 1)), .. sizes.Select(size => Bare(bare, size))]);
        return new("A step of one stream by length of the context", "context", sizes, "microseconds", ("fused with one patch", all[..sizes.Length]), ("bare pass of the base", all[sizes.Length..]));
    }

    public async Task<Curve> ExpertsAsync(int rounds)
    {
        int[] sizes = [1, 2, 4, Experts];
        Samples[] fused = await MeasureAsync(rounds, [.. sizes.Select(size => streams.Timing(Context, Count, 1, size))]);
        return new($"A step of one stream by number of experts, patches of rank {PatchedStreams.Rank} at all linear nodes", "experts", sizes, "microseconds", ("fused", fused));
    }

    public void Dispose() => streams.Dispose();

    private static async Task<Samples[]> MeasureAsync(int rounds, Func<Task<double>>[] seconds) =>
        [.. (await Samples.InterleaveAsync(rounds, seconds)).Select(samples => samples.Times(1e6))];

    private static Func<Task<double>> Bare(BareDecoder decoder, int context) => () =>
    {
        decoder.Restart();
        decoder.Append([.. Enumerable.Range(10, context)]);
        return Task.FromResult(Enumerable.Range(0, Count).Sum(_ => decoder.Append([1])) / Count);
    };
}
