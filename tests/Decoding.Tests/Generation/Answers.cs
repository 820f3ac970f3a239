using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>Helpers that send requests to a scheduler, and the slow reference for their answers.</summary>
internal static class Answers
{
    public static GenerationRequest Greedy(ILanguageModel model, int[] prompt, int maxTokens) =>
        new() { Prompt = Prompt.For(model, prompt), Sampling = new() { Temperature = 0 }, MaxTokens = maxTokens };

    public static async Task<List<GeneratedToken>> Collect(DecodeScheduler scheduler, GenerationRequest request)
    {
        using GenerationStream generation = scheduler.Submit(request);
        return await Collect(generation);
    }

    public static async Task<List<GeneratedToken>> Collect(GenerationStream generation)
    {
        List<GeneratedToken> tokens = [];
        await foreach (GeneratedToken token in generation.Tokens.ReadAllAsync())
        {
            tokens.Add(token);
        }

        return tokens;
    }

    /// <summary>Waits until nothing runs, because tokens are published before they are counted.</summary>
    public static async Task<DraftStatistics> Drafts(DecodeScheduler scheduler)
    {
        while (scheduler.Statistics.Running > 0)
        {
            await Task.Delay(1);
        }

        return scheduler.Statistics.Drafts;
    }

    /// <summary>Greedy decoding by plain loops, every step from scratch.</summary>
    public static List<int> GreedyOracle(ILanguageModel model, int[] prompt, int count)
    {
        List<int> tokens = [.. prompt];
        for (int i = 0; i < count; i++)
        {
            using Sequence sequence = model.Start(Prompt.For(model, tokens.ToArray()));
            float[] row = new float[model.Info.VocabularySize];
            model.Forward([new(sequence, default)], row);
            int best = 0;
            for (int id = 1; id < row.Length; id++)
            {
                best = row[id] > row[best] ? id : best;
            }

            tokens.Add(best);
        }

        return tokens[prompt.Length..];
    }
}
