using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Testing;

namespace ProxyTune.Bench.Speculation;

/// <summary>Compares texts with and without speculation. For a difference, it reports how close the scores of the two tokens are.</summary>
internal static class Identity
{
    private const int Draft = 4;

    public static async Task MeasureAsync(WidenedFamily family, Report report, int prompts)
    {
        Question[] questions = Question.Spread(prompts);
        List<string[]> table = [];
        List<string> differences = [];
        foreach (float temperature in OneStream.Temperatures)
        {
            await using Runner off = new(family, temperature, new() { MaxDraft = 0 }), on = new(family, temperature, new() { MaxDraft = Draft, AlwaysDraft = true });
            int[][] plain = await off.AnswersAsync(questions), drafted = await on.AnswersAsync(questions);
            int differing = 0;
            for (int i = 0; i < questions.Length; i++)
            {
                if (!plain[i].SequenceEqual(drafted[i]))
                {
                    differing++;
                    differences.Add($"{questions[i].Served}, question {i}: {Explain(family, off.Prompt(questions[i]), questions[i].Seed, temperature, plain[i], drafted[i])}");
                }
            }

            table.Add([temperature == 0 ? "greedy" : "temperature 1", $"{questions.Length}", $"{plain.Sum(text => text.Length)}", $"{differing}", $"{on.Drafts.Acceptance:0.00}", $"{on.Drafts.TokensPerPass:0.00}"]);
        }

        report.Table(
            $"Texts with {Draft} draft tokens in every step against texts without speculation, {family.Description}",
            ["", "prompts", "tokens", "texts that differ", "acceptance", "tokens per base pass"],
            [.. table]);
        differences.ForEach(difference => report.Line($"- {difference}"));
        report.Line();
    }

    private static string Explain(WidenedFamily family, Prompt prompt, ulong seed, float temperature, int[] plain, int[] drafted)
    {
        int at = plain.Zip(drafted).TakeWhile(pair => pair.First == pair.Second).Count();
        if (at == Math.Min(plain.Length, drafted.Length))
        {
            return $"one text ends after {at} tokens and the other continues";
        }

        float[] alone = Row(family.Catalog.Ensemble, prompt, plain[..at], 1), inBlock = Row(family.Catalog.Ensemble, prompt, plain[..at], Draft + 1);
        GumbelNoise noise = new(seed, at);
        return $"token {at} is {plain[at]} without speculation and {drafted[at]} with it; the first is ahead by {Margin(alone):0.0e0} in a row computed alone, and by {Margin(inBlock):0.0e0} in a row computed in a block";

        double Margin(float[] row)
        {
            double logits = row[plain[at]] - row[drafted[at]];
            return temperature == 0 ? logits : (logits / temperature) + noise[plain[at]] - noise[drafted[at]];
        }
    }

    /// <summary>The fused row after a text whose tokens are computed in blocks.</summary>
    private static float[] Row(ILanguageModel model, Prompt prompt, int[] text, int block)
    {
        int width = model.Info.VocabularySize;
        float[] rows = new float[block * width];
        using Sequence sequence = model.Start(prompt with { Tenant = null });
        model.Forward([new(sequence, default)], rows);
        int length = 1;
        for (int start = text.Length % block; start <= text.Length; start += block)
        {
            length = start == text.Length % block ? start : block;
            if (length > 0)
            {
                model.Forward([new(sequence, text.AsMemory(start - length, length), length)], rows);
            }
        }

        return rows[((Math.Max(length, 1) - 1) * width)..(Math.Max(length, 1) * width)];
    }
}
