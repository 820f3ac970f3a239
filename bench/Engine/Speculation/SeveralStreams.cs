using ProxyTune.Decoding.Generation;

namespace ProxyTune.Bench.Speculation;

/// <summary>Compares several streams at once with and without speculation, which must not slow down full batches.</summary>
internal static class SeveralStreams
{
    public static async Task MeasureAsync(WidenedFamily family, Report report, SpeculationSettings settings)
    {
        List<string[]> table = [];
        Question[] questions = Question.Spread(settings.Questions);
        foreach (float temperature in OneStream.Temperatures)
        {
            foreach (int streams in new[] { 2, 4, 8 })
            {
                await using Runner off = new(family, temperature, new() { MaxDraft = 0 }), on = new(family, temperature, new());
                Samples[] rates = await Samples.InterleaveAsync(settings.Rounds, async () => (await off.RateAsync(questions, streams)).Whole, async () => (await on.RateAsync(questions, streams)).Whole);
                DraftStatistics drafts = on.Drafts;
                table.Add(
                [
                    $"{streams}, {(temperature == 0 ? "greedy" : "temperature 1")}", .. rates.Select(rate => rate.Show("0")), rates[1].Over(rates[0]).Show("0.00"),
                    $"{(double)drafts.Drafted / drafts.Blocks:0.00}", $"{drafts.TokensPerPass:0.00}",
                ]);
            }
        }

        report.Table(
            $"Several streams, {family.Name}, tokens per second",
            ["streams", "fused, plain", "fused, speculation", "ratio", "draft tokens per base pass", "tokens per base pass"],
            [.. table]);
    }
}
