using ProxyTune.Measuring;

namespace ProxyTune.Peers;

/// <summary>One kind of work, done by this engine and by others, at some number of streams.</summary>
/// <param name="Title">Such as "base alone, 8 streams".</param>
/// <param name="Contenders">With their names; this engine first.</param>
internal sealed record Comparison(string Title, int Streams, IReadOnlyList<(string Name, Contender Contender)> Contenders)
{
    /// <summary>Tokens per second, in the order of the contenders.</summary>
    public Samples[] Rates { get; set; } = [];

    /// <summary>For each contender the share of this engine's tokens that it writes too, up to its first other one.</summary>
    public double[] Agreement { get; set; } = [];

    public static async Task MeasureAsync(IReadOnlyList<Comparison> comparisons, PeerSettings settings, int vocabulary)
    {
        (Comparison Comparison, Contender Contender)[] all = [.. comparisons.SelectMany(comparison => comparison.Contenders.Select(named => (comparison, named.Contender)))];
        Samples[] rates = await Samples.InterleaveAsync(settings.Rounds, [.. all.Select(one => Timing(one.Comparison.Streams, one.Contender, settings, vocabulary))]);
        int first = 0;
        foreach (Comparison comparison in comparisons)
        {
            comparison.Rates = rates[first..(first += comparison.Contenders.Count)];
            await comparison.AgreeAsync(settings, vocabulary);
        }
    }

    public void Show(Report report) => report.Table(
        Title,
        ["who", "tokens/s", "the first over it", "95 % interval", "same tokens"],
        [
            .. Contenders.Select((named, i) => i == 0
                ? new[] { named.Name, Rates[i].Show("0"), "", "", "" }
                : [named.Name, Rates[i].Show("0"), Rates[0].Over(Rates[i]).Show("0.00"), Rates[0].Over(Rates[i]).ShowInterval("0.00"), Agreement[i].ToString("0.0 %", null)]),
        ]);

    public object ToJson() => new
    {
        work = Title,
        streams = Streams,
        contenders = Contenders.Select((named, i) => new
        {
            name = named.Name,
            tokens_per_second = Rates[i].Values,
            first_over_it = Rates[0].Over(Rates[i]).Median,
            interval = (double[])[Rates[0].Over(Rates[i]).Interval().Low, Rates[0].Over(Rates[i]).Interval().High],
            same_tokens = Agreement[i],
        }),
    };

    /// <summary>New prompts every time, since this engine keeps what it has read; everybody has the same in the same round.</summary>
    private static Func<Task<double>> Timing(int streams, Contender contender, PeerSettings settings, int vocabulary)
    {
        int round = 0;
        return async () =>
        {
            int[][] prompts = Prompts(streams, settings.PromptTokens, ++round, vocabulary);

            // Until threads that wait for the next operator's work in a loop have gone to sleep: whoever was before may have left some.
            await Task.Delay(50);
            long start = System.Diagnostics.Stopwatch.GetTimestamp();
            int[][] written = await contender.GenerateAsync(prompts, settings.Tokens);
            double seconds = System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds;
            return written.All(ids => ids.Length == settings.Tokens)
                ? streams * settings.Tokens / seconds
                : throw new InvalidDataException($"{contender.GetType().Name} wrote {string.Join(", ", written.Select(ids => ids.Length))} tokens instead of {settings.Tokens}.");
        };
    }

    private async Task AgreeAsync(PeerSettings settings, int vocabulary)
    {
        int[][] prompts = Prompts(Streams, settings.PromptTokens, 0, vocabulary);
        List<int[][]> written = [];
        foreach ((_, Contender contender) in Contenders)
        {
            written.Add(await contender.GenerateAsync(prompts, settings.Tokens));
        }

        Agreement = [.. written.Select(other => other.Zip(written[0], (theirs, ours) => theirs.Zip(ours, (t, o) => t == o).TakeWhile(same => same).Count()).Sum() / (double)(Streams * settings.Tokens))];
    }

    private static int[][] Prompts(int streams, int length, int round, int vocabulary)
    {
        Random random = new(round);
        return [.. Enumerable.Range(0, streams).Select(_ => Enumerable.Range(0, length).Select(_ => random.Next(5, vocabulary)).ToArray())];
    }
}
