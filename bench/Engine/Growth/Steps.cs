using ProxyTune.Bench.Speculation;

namespace ProxyTune.Bench.Growth;

/// <summary>Steps of fused streams whose experts are patches, and of the base alone.</summary>
internal sealed class Steps(WidenedFamily family) : IDisposable
{
    private const int Most = 16;
    private const int Experts = 8;
    private const int Count = 24;
    private const int Context = 128;

    private readonly PatchedStreams streams = new(family.Base, Path.Combine(family.Folder, WidenedFamily.Small), Experts, Most);

    public async Task<Curve> StreamsAsync(int rounds)
    {
        int[] sizes = [1, 2, 4, 8, Most];
        BareDecoder[] bare = [.. sizes.Select(rows => new BareDecoder(family.Base, rows, Context + Count))];
        Samples[] all = await MeasureAsync(rounds, [.. sizes.Select(size => streams.Timing(Context, Count, size, 1)), .. bare.Select(decoder => Bare(decoder, Context))]);
        Array.ForEach(bare, decoder => decoder.Dispose());
        Samples[] fused = all[..sizes.Length];
        return new(
            $"A step of so many streams, each fused with one patch, context {Context}",
            "streams",
            sizes,
            "microseconds",
            ("fused step", fused),
            ("fused, a stream's share", [.. fused.Zip(sizes, (cost, size) => cost.Times(1.0 / size))]),
            ("bare runs of the base", all[sizes.Length..]));
    }

    public async Task<Curve> ContextAsync(int rounds)
    {
        int longest = streams.ContextLength - Count;
        int[] sizes = [32, longest / 4, longest / 2, longest * 3 / 4, longest];
        using BareDecoder bare = new(family.Base, 1, streams.ContextLength);
        Samples[] all = await MeasureAsync(rounds, [.. sizes.Select(size => streams.Timing(size, Count, 1, 1)), .. sizes.Select(size => Bare(bare, size))]);
        return new("A step of one stream after so many tokens", "context", sizes, "microseconds", ("fused with one patch", all[..sizes.Length]), ("bare run of the base", all[sizes.Length..]));
    }

    public async Task<Curve> ExpertsAsync(int rounds)
    {
        int[] sizes = [1, 2, 4, Experts];
        Samples[] fused = await MeasureAsync(rounds, [.. sizes.Select(size => streams.Timing(Context, Count, 1, size))]);
        return new($"A step of one stream with so many experts, patches of rank {PatchedStreams.Rank} at all linear nodes", "experts", sizes, "microseconds", ("fused", fused));
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
