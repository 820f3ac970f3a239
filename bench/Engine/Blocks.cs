using System.Diagnostics;
using ProxyTune.Decoding;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Bench;

/// <summary>Measures blocks of several tokens for several sequences, as the verification of drafts appends them: in one pass, and in one pass per sequence.</summary>
internal sealed class Blocks : IDisposable
{
    private const int PromptTokens = 128;
    private const int Repetitions = 5;

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("proxytune-blocks-");
    private readonly OnnxLanguageModel model;
    private readonly int[] tokens;

    private Blocks(Family family, Widening widening)
    {
        WidenedModel.Write(family.Members[0], folder.FullName, widening);
        model = OnnxLanguageModel.Load(folder.FullName, new EngineOptions());
        tokens = family.Tokens(PromptTokens, 1);
    }

    public static async Task MeasureAsync(Family family, Report report, Settings settings)
    {
        using Blocks blocks = new(family, new Widening(Hidden: 4, Intermediate: 4));
        List<string[]> table = [];
        foreach ((int sequences, int block) in new[] { (1, 4), (2, 4), (4, 4), (8, 4), (8, 2) })
        {
            Samples[] samples = await Samples.InterleaveAsync(
                settings.Rounds, blocks.Timing(sequences, 1, apart: false), blocks.Timing(sequences, block, apart: false), blocks.Timing(sequences, block, apart: true));
            table.Add([$"{sequences} sequences, blocks of {block}", .. samples.Select(s => s.Times(1000).Show("0.0")), samples[1].Over(samples[0]).Show("0.00"), samples[2].Over(samples[0]).Show("0.00")]);
        }

        report.Table(
            $"Blocks of tokens, `{Path.GetFileName(family.Members[0])}` widened to 4 times its hidden and intermediate size, contexts of {PromptTokens}",
            ["", "one token each, ms", "blocks together, ms", "blocks apart, ms", "together / one token", "apart / one token"],
            [.. table]);
    }

    public void Dispose()
    {
        model.Dispose();
        folder.Delete(recursive: true);
    }

    private Func<Task<double>> Timing(int count, int block, bool apart) => () =>
    {
        Sequence[] sequences = [.. Enumerable.Range(0, count).Select(_ => model.Start(Prompt.For(model, tokens)))];
        float[] logits = new float[count * block * model.Info.VocabularySize];
        model.Forward([.. sequences.Select(sequence => new Segment(sequence, default))], logits);
        Segment[] segments = [.. sequences.Select(sequence => new Segment(sequence, tokens.AsMemory(0, block), block))];
        Segment[][] batches = apart ? [.. segments.Select(segment => new[] { segment })] : [segments];
        Run(batches, logits);
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < Repetitions; i++)
        {
            Run(batches, logits);
        }

        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds / Repetitions;
        Array.ForEach(sequences, sequence => sequence.Dispose());
        return Task.FromResult(seconds);
    };

    private void Run(Segment[][] batches, float[] logits)
    {
        foreach (Segment[] batch in batches)
        {
            model.Forward(batch, logits);
        }
    }
}
