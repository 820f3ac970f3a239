using ProxyTune.Measuring;

namespace ProxyTune.Peers;

/// <summary>Compares this engine with others on one kind of work.</summary>
/// <param name="Title">Such as "base alone, 8 streams".</param>
/// <param name="Streams">Requests at once.</param>
/// <param name="Engines">Engines with their names; this engine is the first.</param>
internal sealed record Comparison(string Title, int Streams, IReadOnlyList<(string Name, InferenceEngine Engine)> Engines)
{
    /// <summary>Tokens per second, in the order of the engines.</summary>
    public Samples[] Rates { get; set; } = [];

    /// <summary>For each engine, the share of its tokens that equal this engine's, up to the first difference of each answer.</summary>
    public double[] Agreement { get; set; } = [];

    public static async Task MeasureAsync(IReadOnlyList<Comparison> comparisons, PeerSettings settings, int vocabulary)
    {
        (Comparison Comparison, InferenceEngine Engine)[] all = [.. comparisons.SelectMany(comparison => comparison.Engines.Select(named => (comparison, named.Engine)))];
        Samples[] rates = await Samples.InterleaveAsync(settings.Rounds, [.. all.Select(one => Timing(one.Comparison.Streams, one.Engine, settings, vocabulary))]);
        int first = 0;
        foreach (Comparison comparison in comparisons)
        {
            comparison.Rates = rates[first..(first += comparison.Engines.Count)];
            await comparison.CompareTokensAsync(settings, vocabulary);
        }
    }

    public void Show(Report report) => report.Table(
        Title,
        ["engine", "tokens/s", "first row / this row", "95 % interval", "same tokens"],
        [
            .. Engines.Select((named, i) => i == 0
                ? new[] { named.Name, Rates[i].Show("0"), "", "", "" }
                : [named.Name, Rates[i].Show("0"), Rates[0].Over(Rates[i]).Show("0.00"), Rates[0].Over(Rates[i]).ShowInterval("0.00"), Agreement[i].ToString("0.0 %", null)]),
        ]);

    public object ToJson() => new
    {
        work = Title,
        streams = Streams,
        engines = Engines.Select((named, i) => new
        {
            name = named.Name,
            tokens_per_second = Rates[i].Values,
            first_over_it = Rates[0].Over(Rates[i]).Median,
            interval = (double[])[Rates[0].Over(Rates[i]).Interval().Low, Rates[0].Over(Rates[i]).Interval().High],
            same_tokens = Agreement[i],
        }),
    };

    /// <summary>Uses new prompts in each round because this engine has a prefix cache. All engines get the same prompts in the same round.</summary>
    private static Func<Task<double>> Timing(int streams, InferenceEngine engine, PeerSettings settings, int vocabulary)
    {
        int round = 0;
        return async () =>
        {
            int[][] prompts = Prompts(streams, settings.PromptTokens, ++round, vocabulary);

            // The delay lets the thread pool of the engine that ran before go to sleep; its threads spin for a while after their last operator.
            await Task.Delay(50);
            long start = System.Diagnostics.Stopwatch.GetTimestamp();
            int[][] written = await engine.GenerateAsync(prompts, settings.Tokens);
            double seconds = System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds;
            return written.All(ids => ids.Length == settings.Tokens)
                ? streams * settings.Tokens / seconds
                : throw new InvalidDataException($"{engine.GetType().Name} wrote {string.Join(", ", written.Select(ids => ids.Length))} tokens instead of {settings.Tokens}.");
        };
    }

    private async Task CompareTokensAsync(PeerSettings settings, int vocabulary)
    {
        int[][] prompts = Prompts(Streams, settings.PromptTokens, 0, vocabulary);
        List<int[][]> written = [];
        foreach ((_, InferenceEngine engine) in Engines)
        {
            written.Add(await engine.GenerateAsync(prompts, settings.Tokens));
        }

        Agreement = [.. written.Select(answers => answers.Zip(written[0], (answer, first) => answer.Zip(first, (token, expected) => token == expected).TakeWhile(same => same).Count()).Sum() / (double)(Streams * settings.Tokens))];
    }

    private static int[][] Prompts(int streams, int length, int round, int vocabulary)
    {
        Random random = new(round);
        return [.. Enumerable.Range(0, streams).Select(_ => Enumerable.Range(0, length).Select(_ => random.Next(5, vocabulary)).ToArray())];
    }
}
