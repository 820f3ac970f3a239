using Onnx;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;
using Xunit.Abstractions;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>What a server does with a model, over every folder of reference data: batches, blocks, truncation, the prefix cache, patches, quantised weights.</summary>
public sealed class FamilyServingTests(ITestOutputHelper output) : IDisposable
{
    private const float Tolerance = 2e-4f;

    private readonly string folder = Directory.CreateTempSubdirectory("family-").FullName;

    public static TheoryData<string> Names => FamilyData.Names;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Forward_OneTokenOfEachSequence_EqualsTransformers(string name) => AppendTogether(name, [1]);

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Forward_BlocksOfEachSequence_EqualsTransformers(string name) => AppendTogether(name, [3, 1, 2]);

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Rewind_OtherTokens_LeavesNoTrace(string name)
    {
        (FamilyData data, OnnxLanguageModel model) = Load(name);
        using OnnxLanguageModel disposed = model;
        FamilyCase one = data.Cases.MaxBy(one => one.Ids.Length)!;
        int known = one.Ids.Length / 3;
        using Sequence sequence = model.Start(Prompt.For(model, one.Ids.AsMemory(0, known)) with { MaxAppended = one.Ids.Length - known });
        Rows.Forward(model, new Segment(sequence, default));
        double difference = 0;
        for (int next = known; next < one.Ids.Length; next++)
        {
            int guesses = Math.Min(7, one.Ids.Length - next);
            Rows.Forward(model, new Segment(sequence, one.Ids.AsMemory(0, guesses), guesses));
            sequence.Rewind(guesses);
            difference = Math.Max(difference, FamilyData.Difference(one.Logits[next..(next + 1)], Rows.Forward(model, new Segment(sequence, one.Ids.AsMemory(next, 1)))));
        }

        Report("after rewinding", difference, Tolerance);
    }

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Start_SamePromptForShortAndLongTexts_GivesTheRowsOfAFreshSequence(string name)
    {
        (FamilyData data, OnnxLanguageModel model) = Load(name);
        using OnnxLanguageModel disposed = model;
        int[] prompt = data.Cases.First(one => one.Ids.Length >= 2 * PrefixCache.BlockLength).Ids;
        foreach (int appended in (int[])[1, int.MaxValue, 1, int.MaxValue])
        {
            float[] expected = Row(null, appended), cached = Row("tenant", appended);
            Report($"cached, {appended}", FamilyData.Difference([expected], [cached]), 1e-5);
        }

        float[] Row(string? tenant, int appended)
        {
            using Sequence sequence = model.Start(Prompt.For(model, prompt) with { MaxAppended = appended, Tenant = tenant });
            return Rows.Forward(model, new Segment(sequence, default))[0];
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Start_Patch_GivesTheRowsOfTheMergedModel(string name)
    {
        (FamilyData data, OnnxLanguageModel model) = Load(name);
        using OnnxLanguageModel disposed = model;
        string patch = In("patch");
        TinyPatch.Write(patch, In("model"), 5, [.. TinyPatch.Modules, "qkv_proj", "gate_up_proj"]);
        WeightedPatch[] patches = [new(LowRankPatch.Read(patch), 0.5)];
        CheckpointExporter.Export(data.Folder, In("merged"), patches);
        using OnnxLanguageModel merged = OnnxLanguageModel.Load(In("merged"), new());
        int[] ids = data.Cases[0].Ids;

        using Sequence patched = model.Start(Prompt.For(model, ids, new PatchSum(patches)) with { MaxAppended = 1 });
        float[][] rows = Rows.Forward(model, new Segment(patched, default, ids.Length));

        using Sequence own = merged.Start(Prompt.For(merged, ids) with { MaxAppended = 1 });
        float[][] expected = Rows.Forward(merged, new Segment(own, default, ids.Length));
        Report("patched", FamilyData.Difference(expected, rows), Tolerance * expected.Max(row => row.Max(Math.Abs)));
        Assert.True(FamilyData.Difference(data.Cases[0].Logits, rows) > 0.1);
    }

    // The errors of rounded weights and of activations in 8 bits are those of the whole model, so the bounds are wide; a wrong weight gives more.
    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Export_Quantized_IsNearTransformers(string name)
    {
        FamilyData data = FamilyData.Read(name);
        foreach ((int bits, double allowed) in ((int, double)[])[(8, 0.1), (4, 0.6)])
        {
            CheckpointExporter.Export(data.Folder, In($"{bits}"), bits: bits);
            ModelProto graph = ModelProto.Parser.ParseFrom(File.ReadAllBytes(In($"{bits}/model.onnx")));
            NodeProto[] linear = [.. graph.Graph.Node.Where(node => node.OpType.Contains("MatMul", StringComparison.Ordinal))];
            Assert.All(linear, node => Assert.Equal(node == linear[^1] ? 8 : bits, node.Attribute.Single(attribute => attribute.Name == "bits").I));
            Assert.Equal((4 * DecoderSpec.Read(data.Folder).Layers) + 1, linear.Length);
            using OnnxLanguageModel model = OnnxLanguageModel.Load(In($"{bits}"), new());
            double error = 0, size = 0;
            foreach (FamilyCase one in data.Cases)
            {
                using Sequence sequence = model.Start(Prompt.For(model, one.Ids) with { MaxAppended = 1 });
                float[][] rows = Rows.Forward(model, new Segment(sequence, default, one.Ids.Length));
                error += rows.Zip(one.Logits, (row, expected) => row.Zip(expected, (x, y) => Math.Pow(x - y, 2)).Sum()).Sum();
                size += one.Logits.Sum(row => row.Sum(y => Math.Pow(y, 2)));
            }

            Report($"{bits} bits, relative error", Math.Sqrt(error / size), allowed);
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Export_AnyFamily_GenAiGeneratesTheGreedyTokens(string name)
    {
        (FamilyData data, OnnxLanguageModel model) = Load(name);
        model.Dispose();
        FamilyCase one = data.Cases[0];
        const int Count = 8;

        int[] generated = GenAiReference.Greedy(In("model"), one.Ids, Count);

        int sure = Array.FindIndex(one.Margins, margin => margin < FamilyData.Margin) is var first and >= 0 ? first : one.Greedy.Length;
        Assert.Equal(one.Greedy.Take(Math.Min(sure, generated.Length)), generated.Take(sure));
        Assert.NotEmpty(generated);
    }

    private string In(string name) => Path.Combine(folder, name);

    /// <summary>Appends the ends of all prompts in common runs.</summary>
    private void AppendTogether(string name, int[] lengths)
    {
        (FamilyData data, OnnxLanguageModel model) = Load(name);
        using OnnxLanguageModel disposed = model;
        Sequence[] sequences = [.. data.Cases.Select(one => model.Start(Prompt.For(model, one.Ids.AsMemory(0, Half(one))) with { MaxAppended = one.Ids.Length - Half(one) }))];
        Rows.Forward(model, [.. sequences.Select(sequence => new Segment(sequence, default))]);
        double difference = 0;
        for (int round = 0; sequences.Any(sequence => sequence.Room > 0); round++)
        {
            (int I, int From, int Count)[] parts =
            [
                .. Enumerable.Range(0, sequences.Length).Where(i => sequences[i].Room > 0)
                    .Select(i => (i, sequences[i].Length, Math.Min(sequences[i].Room, lengths[(round + i) % lengths.Length]))),
            ];
            float[][] rows = Rows.Forward(model, [.. parts.Select(part => new Segment(sequences[part.I], data.Cases[part.I].Ids.AsMemory(part.From, part.Count), part.Count))]);
            float[][] expected = [.. parts.SelectMany(part => data.Cases[part.I].Logits[part.From..(part.From + part.Count)])];
            difference = Math.Max(difference, FamilyData.Difference(expected, rows));
        }

        Array.ForEach(sequences, sequence => sequence.Dispose());
        Report("together", difference, Tolerance);

        static int Half(FamilyCase one) => one.Ids.Length / 2;
    }

    private (FamilyData Data, OnnxLanguageModel Model) Load(string name)
    {
        FamilyData data = FamilyData.Read(name);
        CheckpointExporter.Export(data.Folder, In("model"));
        return (data, OnnxLanguageModel.Load(In("model"), new()));
    }

    private void Report(string what, double difference, double allowed)
    {
        output.WriteLine($"{what}: {difference:0.0e+0}");
        Assert.True(difference <= allowed, $"{what}: {difference:0.0e+0}, allowed {allowed:0.0e+0}");
    }
}
