using ProxyTune.Decoding.Generation;

namespace ProxyTune.Bench.Speculation;

/// <summary>Compares one stream fused with speculation, fused without it, and of the base alone, for several precisions.</summary>
internal sealed class OneStream : IAsyncDisposable
{
    public static readonly float[] Temperatures = [0, 1];

    private readonly List<Case> cases = [];

    private enum Mode
    {
        Alone,
        Fused,
        Speculated,
    }

    public static async Task MeasureAsync(IReadOnlyList<WidenedFamily> families, Report report, SpeculationSettings settings)
    {
        await using OneStream one = new();
        Question[] questions = Question.Spread(settings.Questions);
        foreach (float temperature in Temperatures)
        {
            foreach (WidenedFamily family in families)
            {
                await one.AddAsync(family, temperature, questions);
            }
        }

        Samples[] rates = await Samples.InterleaveAsync(settings.Rounds, [.. one.cases.Select(one => one.Timing(questions))]);
        for (int i = 0; i < rates.Length; i++)
        {
            one.cases[i].Rates = rates[i];
        }

        one.Write(report, families);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (Case one in cases)
        {
            await one.Runner.DisposeAsync();
        }
    }

    private async Task AddAsync(WidenedFamily family, float temperature, Question[] questions)
    {
        SchedulerOptions off = new() { MaxDraft = 0 };
        Runner fused = new(family, temperature, off);
        int[] lengths = [.. (await fused.AnswersAsync(questions)).Select(answer => answer.Length)];
        cases.Add(new(family.Name, temperature, Mode.Alone, new(family, temperature, off, isPlain: true), lengths));
        cases.Add(new(family.Name, temperature, Mode.Fused, fused, null));
        cases.Add(new(family.Name, temperature, Mode.Speculated, new(family, temperature, new()), null));
    }

    private void Write(Report report, IReadOnlyList<WidenedFamily> families)
    {
        List<string[]> rows = [], parts = [];
        foreach ((float temperature, WidenedFamily family) in Temperatures.SelectMany(temperature => families.Select(family => (temperature, family))))
        {
            Case[] three = [.. cases.Where(one => one.Precision == family.Name && one.Temperature == temperature)];
            DraftStatistics drafts = three[2].Runner.Drafts;
            string name = Name(family.Name, temperature);
            rows.Add(
            [
                name, .. three.Select(one => one.Rates.Show("0")), three[2].Rates.Over(three[0].Rates).Show("0.00"), three[2].Rates.Over(three[1].Rates).Show("0.00"),
                three[2].Whole.Over(three[0].Whole).Show("0.00"), $"{drafts.Acceptance:0.00}", $"{drafts.TokensPerPass:0.00}",
            ]);
            parts.AddRange(three.Select(one => one.TimeRow(name)));
        }

        report.Table(
            "One stream, tokens per second after the first token of each answer",
            ["base", "base alone", "fused, plain", "fused, speculation", "speculation / base alone", "speculation / fused, plain", "speculation / base alone, prompts included", "acceptance", "tokens per base pass"],
            [.. rows]);
        foreach (float temperature in Temperatures)
        {
            Case fused = Best(temperature, Mode.Speculated), alone = Best(temperature, Mode.Alone);
            report.Line($"- Fastest precision of each, {Name(fused.Precision, temperature)} fused / {alone.Precision} base alone: {fused.Rates.Over(alone.Rates).Show("0.00")}.");
        }

        report.Line();
        report.Table("Time per token by part, prompts included, medians in microseconds", ["base", "", "passes of the base", "passes of the expert", "passes of the anti-expert", "rest"], [.. parts]);
    }

    private Case Best(float temperature, Mode mode) => cases.Where(one => one.Temperature == temperature && one.Mode == mode).MaxBy(one => one.Rates.Median)!;

    private static string Name(string precision, float temperature) => $"{precision}, {(temperature == 0 ? "greedy" : "temperature 1")}";

    private sealed record Case(string Precision, float Temperature, Mode Mode, Runner Runner, int[]? Lengths)
    {
        private readonly List<StepTimes> times = [];
        private readonly List<double> whole = [];

        public Samples Rates { get; set; } = new([]);

        /// <summary>The rates over whole answers, without the warm-up round.</summary>
        public Samples Whole => new([.. whole.Skip(1)]);

        public Func<Task<double>> Timing(Question[] questions) => async () =>
        {
            Rates rates = await Runner.RateAsync(questions, 1, Lengths);
            times.Add(Runner.Times);
            whole.Add(rates.Whole);
            return rates.Decoding;
        };

        public string[] TimeRow(string name)
        {
            return [name, Mode switch { Mode.Alone => "base alone", Mode.Fused => "fused, plain", _ => "fused, speculation" }, Median(p => p.Base), Median(p => p.Experts), Median(p => p.AntiExpert), Median(p => p.Rest)];

            string Median(Func<StepTimes, double> part) => $"{new Samples([.. times.Skip(1).Select(part)]).Median:0}";
        }
    }
}
