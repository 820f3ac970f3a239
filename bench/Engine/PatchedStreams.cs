using System.Diagnostics;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Bench;

/// <summary>Steps streams of a base with experts that are patches of one small base, without a scheduler.</summary>
internal sealed class PatchedStreams : IDisposable
{
    public const int Rank = 8;

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("proxytune-patches-");
    private readonly OnnxLanguageModel large;
    private readonly OnnxLanguageModel small;
    private readonly FusedModel fused;
    private readonly PatchSum[] patches;
    private readonly float[] logits;

    /// <param name="patches">Number of different patches.</param>
    /// <param name="streams">Largest number of streams at once.</param>
    public PatchedStreams(string large, string small, int patches, int streams)
    {
        EngineOptions options = new() { MaxSequences = streams * (patches + 1) };
        (this.large, this.small) = (OnnxLanguageModel.Load(large, options), OnnxLanguageModel.Load(small, options));
        fused = new("experts", [this.large, this.small]);
        logits = new float[streams * fused.Info.VocabularySize];
        this.patches = [.. Enumerable.Range(0, patches).Select(seed => Patch(small, seed))];
    }

    public int ContextLength => fused.Info.ContextLength;

    /// <summary>Measures streams with the given number of experts each. The patches are assigned in turn.</summary>
    /// <returns>Measures the mean time of a step, in seconds.</returns>
    public Func<Task<double>> Timing(int context, int steps, int streams, int experts) =>
        Timing(context, steps, [.. Enumerable.Range(0, streams).Select(i => Enumerable.Range(i, experts).Select(patch => patch % patches.Length).ToArray())]);

    /// <param name="context">Number of tokens before the first step.</param>
    /// <param name="experts">For each stream, the indices of its experts' patches.</param>
    /// <returns>Measures the mean time of a step, in seconds.</returns>
    public Func<Task<double>> Timing(int context, int steps, int[][] experts) => () =>
    {
        Random random = new(1);
        int[] prompt = [.. Enumerable.Range(0, context).Select(_ => random.Next(10, 1000))];
        Sequence[] sequences = [.. experts.Select(chosen => fused.Start(Prompt(chosen, prompt)))];
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

    public void Dispose()
    {
        fused.Dispose();
        folder.Delete(recursive: true);
    }

    private PatchSum Patch(string model, int seed)
    {
        string path = Path.Combine(folder.FullName, $"{seed}");
        TinyPatch.WriteRank(path, model, seed, Rank, TinyPatch.Modules);
        return new PatchSum([new WeightedPatch(LowRankPatch.Read(path), 1)]);
    }

    private Prompt Prompt(int[] experts, int[] prompt)
    {
        FusionStream[] streams =
        [
            new(large, StreamRole.Base, 1), new(small, StreamRole.AntiExpert), .. experts.Select(patch => new FusionStream(small, StreamRole.Expert, Patch: patches[patch])),
        ];
        FusionPlan plan = new(streams) { Deltas = [.. experts.Select((patch, i) => new FusionDelta($"{patch}", i + 2, 1, 1))] };
        return new(plan, [.. streams.Select(_ => (ReadOnlyMemory<int>)prompt)]);
    }
}
