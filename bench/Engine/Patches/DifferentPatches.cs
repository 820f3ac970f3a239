using System.Diagnostics;
using ProxyTune.Bench.Speculation;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Bench.Patches;

/// <summary>Compares sequences of one base that each have a different patch with sequences without patches.</summary>
internal static class DifferentPatches
{
    private const int Rows = 16;
    private const int Rank = 8;
    private const int PromptTokens = 32;

    private static readonly string[] AttentionTargets = ["q_proj", "k_proj", "v_proj", "o_proj"];

    public static async Task MeasureAsync(Report report, bool quick)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("proxytune-rows-");
        string large = Path.Combine(folder.FullName, "large");
        WidenedModel.Write(Path.Combine(Repository.Models, WidenedFamily.Plain), large, WidenedFamily.LargeBase);
        List<string[]> rows = [];
        foreach ((string name, string model) in new[] { ("the demo's `town-base`", Path.Combine(Repository.Models, WidenedFamily.Plain)), ("widened beyond the processor's cache", large) })
        {
            Func<Task<double>> none = Timing(model, folder.FullName, null, quick, out OnnxLanguageModel plain), attention = Timing(model, folder.FullName, AttentionTargets, quick, out OnnxLanguageModel some),
                all = Timing(model, folder.FullName, TinyPatch.Modules, quick, out OnnxLanguageModel every);
            using (plain)
            using (some)
            using (every)
            {
                Samples[] seconds = await Samples.InterleaveAsync(quick ? 3 : 15, none, attention, all);
                rows.Add([name, "none", Micro(seconds[0]), "1.00"]);
                rows.Add([name, "attention (q, k, v, o)", Micro(seconds[1]), Throughput(seconds, 1)]);
                rows.Add([name, "all linear nodes", Micro(seconds[2]), Throughput(seconds, 2)]);
            }
        }

        report.Table(
            $"{Rows} sequences of a base with {Rows} different patches of rank {Rank}",
            ["base", "patches at", "microseconds a step", "throughput / no patches"],
            [.. rows]);
        folder.Delete(recursive: true);

        static string Micro(Samples samples) => samples.Times(1e6).Show("0");

        static string Throughput(Samples[] seconds, int which) => $"{seconds[0].Over(seconds[which]).Show("0.00")}, 95 %: {seconds[0].Over(seconds[which]).ShowInterval("0.00")}";
    }

    /// <param name="modules">Linear nodes that the patches change; null for no patches.</param>
    private static Func<Task<double>> Timing(string folder, string patches, string[]? modules, bool quick, out OnnxLanguageModel model)
    {
        OnnxLanguageModel own = model = OnnxLanguageModel.Load(folder, new EngineOptions());
        PatchSum?[] different = [.. Enumerable.Range(0, Rows).Select(seed => modules is null ? null : Patch(folder, patches, seed, modules))];
        float[] logits = new float[Rows * own.Info.VocabularySize];
        int steps = quick ? 8 : 32;
        return () =>
        {
            Random random = new(1);
            int[] prompt = [.. Enumerable.Range(0, PromptTokens).Select(_ => random.Next(10, 1000))];
            Sequence[] sequences = [.. different.Select(patch => own.Start(Prompt.For(own, prompt, patch)))];
            own.Forward([.. sequences.Select(sequence => new Segment(sequence, default))], logits);
            Segment[] next = [.. sequences.Select(sequence => new Segment(sequence, prompt.AsMemory(0, 1)))];
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < steps; i++)
            {
                own.Forward(next, logits);
            }

            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds / steps;
            Array.ForEach(sequences, sequence => sequence.Dispose());
            return Task.FromResult(seconds);
        };
    }

    private static PatchSum Patch(string model, string folder, int seed, string[] modules)
    {
        string path = Path.Combine(folder, $"{Path.GetFileName(model)}-{modules.Length}-{seed}");
        TinyPatch.WriteRank(path, model, seed, Rank, modules);
        return new PatchSum([new WeightedPatch(LowRankPatch.Read(path), 1)]);
    }
}
