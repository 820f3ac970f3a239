using System.Diagnostics;

using ProxyTune.Decoding.Catalog;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Patches;
using ProxyTune.Testing;

namespace ProxyTune.Bench;

/// <summary>What experts cost that are patches of one small base: rows of its pass beside their anti-expert.</summary>
internal sealed class PatchedExperts : IDisposable
{
    private const int Rank = 8;
    private const int Patches = 8;
    private const int Streams = 16;
    private const int PromptTokens = 32;

    private static readonly int[] FirstPatch = [0];

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("proxytune-patches-");
    private readonly int[] prompt;
    private readonly OnnxLanguageModel large;
    private readonly OnnxLanguageModel small;
    private readonly FusedModel fused;
    private readonly PatchSum[] patches;
    private readonly float[] logits;

    private PatchedExperts(Family family)
    {
        var options = new EngineOptions { MaxSequences = 4 * Streams };
        prompt = family.Tokens(PromptTokens, 1);
        (large, small) = (OnnxLanguageModel.Load(family.Members[0], options), OnnxLanguageModel.Load(family.Members[^1], options));
        fused = new("experts", [large, small]);
        logits = new float[Streams * fused.Info.VocabularySize];
        patches = [.. Enumerable.Range(0, Patches).Select(seed => Patch(family.Members[^1], seed))];
    }

    public static async Task MeasureAsync(Family family, Report report, Settings settings)
    {
        using var experts = new PatchedExperts(family);
        int[] counts = [1, 2, 4];
        Samples[] alone = await Samples.InterleaveAsync(settings.Rounds, [.. counts.Select(count => experts.Timing(settings.Tokens, [.. Enumerable.Range(0, count)]))]);
        report.Table(
            $"Experts that are patches of rank {Rank} at all linear nodes, rows of one pass of `{Path.GetFileName(family.Members[^1])}` with their anti-expert",
            ["one stream", "microseconds a token", "over one expert"],
            [.. counts.Zip(alone, (count, samples) => new[] { $"experts: {count}", Micro(samples), samples.Over(alone[0]).Show("0.00") })]);

        int[][] same = [.. Enumerable.Range(0, Streams).Select(_ => FirstPatch)], mixed = [.. Enumerable.Range(0, Streams).Select(i => new[] { i % Patches })];
        Samples[] together = await Samples.InterleaveAsync(settings.Rounds, experts.Timing(settings.Tokens, same), experts.Timing(settings.Tokens, mixed));
        report.Table(
            $"{Streams} streams of one expert each",
            ["patches", "microseconds a step", "over one patch"],
            ["the same for all", Micro(together[0]), ""],
            [$"{Patches} different ones", Micro(together[1]), together[1].Over(together[0]).Show("0.00")]);

        static string Micro(Samples samples) => samples.Times(1e6).Show("0");
    }

    public void Dispose()
    {
        fused.Dispose();
        folder.Delete(recursive: true);
    }

    private PatchSum Patch(string model, int seed)
    {
        string path = Path.Combine(folder.FullName, $"{seed}");
        TinyPatch.WriteRank(path, model, seed, Rank, "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj");
        return new PatchSum([new WeightedPatch(LowRankPatch.Read(path), 1)]);
    }

    /// <param name="experts">For each stream the patches of its experts.</param>
    /// <returns>Seconds a step, after the prompts.</returns>
    private Func<Task<double>> Timing(int steps, params int[][] experts) => () =>
    {
        Sequence[] sequences = [.. experts.Select(chosen => fused.Start(Prompt(chosen)))];
        fused.Forward([.. sequences.Select(sequence => new Segment(sequence, default))], logits);
        Segment[] next = [.. sequences.Select(sequence => new Segment(sequence, prompt.AsMemory(0, 1)))];
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < steps; i++)
        {
            fused.Forward(next, logits);
        }

        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds / steps;
        Array.ForEach(sequences, sequence => sequence.Dispose());
        return Task.FromResult(seconds);
    };

    private Prompt Prompt(int[] experts)
    {
        FusionStream[] streams =
        [
            new(large, StreamRole.Base, 1), new(small, StreamRole.AntiExpert), .. experts.Select(patch => new FusionStream(small, StreamRole.Expert, Patch: patches[patch])),
        ];
        var plan = new FusionPlan(streams) { Deltas = [.. experts.Select((patch, i) => new FusionDelta($"{patch}", i + 2, 1, 1))] };
        return new(plan, [.. streams.Select(_ => (ReadOnlyMemory<int>)prompt)]);
    }
}
