using ProxyTune.Decoding.Generation;

namespace ProxyTune.Bench.Speculation;

/// <summary>One stream: fused with speculation, fused without, and the base alone, over precisions of the base.</summary>
internal sealed class OneStream : IAsyncDisposable
{
    public static readonly float[] Temperatures = [0, 1];

    private readonly List<Case> cases = [];

    private enum How
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
        cases.Add(new(family.Name, temperature, How.Alone, new(family, temperature, off, isPlain: true), lengths));
        cases.Add(new(family.Name, temperature, How.Fused, fused, null));
        cases.Add(new(family.Name, temperature, How.Speculated, new(family, temperature, new()), null));
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
            parts.AddRange(three.Select(one => one.Where(name)));
        }

        report.Table(
            "One stream, tokens per second after the first token of each answer",
            ["base", "alone, plain", "fused, plain", "fused, speculation", "speculation / alone", "speculation / fused, plain", "speculation / alone, prompts included", "acceptance", "tokens per base pass"],
            [.. rows]);
        foreach (float temperature in Temperatures)
        {
            Case fused = Best(temperature, How.Speculated), alone = Best(temperature, How.Alone);
            report.Line($"- The fastest of each over precisions, {Name(fused.Precision, temperature)} fused against {alone.Precision} alone: {fused.Rates.Over(alone.Rates).Show("0.00")}.");
        }

        report.Line();
        report.Table("Where a token's time goes, prompts included, medians in microseconds", ["base", "", "base's passes", "expert's passes", "anti-expert's passes", "all else"], [.. parts]);
    }

    private Case Best(float temperature, How how) => cases.Where(one => one.Temperature == temperature && one.Way == how).MaxBy(one => one.Rates.Median)!;

    private static string Name(string precision, float temperature) => $"{precision}, {(temperature == 0 ? "greedy" : "temperature 1")}";

    private sealed record Case(string Precision, float Temperature, How Way, Runner Runner, int[]? Lengths)
    {
        private readonly List<StepParts> parts = [];
        private readonly List<double> whole = [];

        public Samples Rates { get; set; } = new([]);

        /// <summary>Without the round that warms up.</summary>
        public Samples Whole => new([.. whole.Skip(1)]);

        public Func<Task<double>> Timing(Question[] questions) => async () =>
        {
            Rates rates = await Runner.RateAsync(questions, 1, Lengths);
            parts.Add(Runner.Parts);
            whole.Add(rates.Whole);
            return rates.Decoding;
        };

        public string[] Where(string name)
        {
            return [name, Way switch { How.Alone => "alone", How.Fused => "fused, plain", _ => "fused, speculation" }, Median(p => p.Base), Median(p => p.Experts), Median(p => p.AntiExpert), Median(p => p.Rest)];

            string Median(Func<StepParts, double> part) => $"{new Samples([.. parts.Skip(1).Select(part)]).Median:0}";
        }
    }
}
