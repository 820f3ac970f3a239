using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;
using Xunit.Abstractions;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Compares exports of real families with transformers, over every folder of reference data.</summary>
public sealed class FamilyTests(ITestOutputHelper output) : IDisposable
{
    private const float Tolerance = 2e-4f;

    private readonly string folder = Directory.CreateTempSubdirectory("family-").FullName;

    public static TheoryData<string> Names => FamilyData.Names;

    public static TheoryData<string> Refused => FamilyData.Refused;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Forward_WholePrompt_EqualsTransformers(string name)
    {
        (FamilyData data, OnnxLanguageModel model) = Load(name);
        using (model)
        {
            Report("whole", data.Cases.Max(one => FamilyData.Difference(one.Logits, Whole(model, one))));
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Forward_InPieces_EqualsTransformers(string name)
    {
        (FamilyData data, OnnxLanguageModel model) = Load(name);
        using (model)
        {
            Report("in pieces", data.Cases.Max(one => FamilyData.Difference(one.Logits[^1..], InPieces(model, one, [5, 17, 1, 30]))));
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Forward_TokenByToken_EqualsTransformers(string name)
    {
        (FamilyData data, OnnxLanguageModel model) = Load(name);
        using (model)
        {
            Report("with a cache", data.Cases.Max(one => FamilyData.Difference(one.Logits, TokenByToken(model, one))));
        }
    }

    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void Forward_Greedy_GivesTheTokensOfTransformers(string name)
    {
        (FamilyData data, OnnxLanguageModel model) = Load(name);
        using (model)
        {
            foreach (FamilyCase one in data.Cases)
            {
                using Sequence sequence = model.Start(Start(model, one.Ids, Math.Max(1, one.Greedy.Length)));
                float[] row = Rows.Forward(model, new Segment(sequence, default))[0];
                for (int i = 0; i < one.Greedy.Length; i++)
                {
                    int best = Array.IndexOf(row, row.Max());
                    Assert.True(best == one.Greedy[i] || one.Margins[i] < FamilyData.Margin, $"After {one.Ids.Length} + {i} tokens: {best} instead of {one.Greedy[i]}.");
                    row = Rows.Forward(model, new Segment(sequence, one.Greedy.AsMemory(i, 1)))[0];
                }
            }
        }
    }

    // The oracle of the other tests computes in double precision, so it also says how much of a difference is transformers' own rounding.
    [SkippableTheory]
    [MemberData(nameof(Names))]
    public void SlowDecoder_AnyFamily_EqualsTransformers(string name)
    {
        FamilyData data = FamilyData.Read(name);
        CheckpointExporter.Export(data.Folder, folder);
        SlowDecoder oracle = new(folder);
        int? longest = DecoderSpec.Read(folder).LongRope?.OriginalContext;

        Report("plain loops", data.Cases.Max(one =>
            FamilyData.Difference(one.Logits, [.. oracle.Logits(one.Ids, one.Ids.Length > longest).Select(row => row.Select(logit => (float)logit).ToArray())])));
    }

    [SkippableTheory]
    [MemberData(nameof(Refused))]
    public void Export_RefusedCheckpoint_NamesTheFile(string name)
    {
        string checkpoint = FamilyData.PathOf(name);

        EngineException error = Assert.Throws<EngineException>(() => CheckpointExporter.Export(checkpoint, folder));

        output.WriteLine(error.Message);
        Assert.Equal(EngineError.InvalidModelFolder, error.Error);
        Assert.Contains(checkpoint, error.Message, StringComparison.Ordinal);
    }

    private (FamilyData Data, OnnxLanguageModel Model) Load(string name)
    {
        FamilyData data = FamilyData.Read(name);
        CheckpointExporter.Export(data.Folder, folder);
        return (data, OnnxLanguageModel.Load(folder, new()));
    }

    private void Report(string what, double difference)
    {
        output.WriteLine($"{what}: {difference:0.0e+0}");
        Assert.True(difference <= Tolerance, $"{what}: {difference:0.0e+0}");
    }

    private static float[][] Whole(OnnxLanguageModel model, FamilyCase one)
    {
        using Sequence sequence = model.Start(Start(model, one.Ids, 1));
        return Rows.Forward(model, new Segment(sequence, default, one.Ids.Length));
    }

    private static float[][] InPieces(OnnxLanguageModel model, FamilyCase one, int[] pieces)
    {
        using Sequence sequence = model.Start(Start(model, one.Ids, 1));
        for (int i = 0; sequence.Pending > 1 && model.Prefill(sequence, Math.Min(pieces[i % pieces.Length], sequence.Pending - 1)) > 0; i++)
        {
        }

        return Rows.Forward(model, new Segment(sequence, default, 1));
    }

    private static float[][] TokenByToken(OnnxLanguageModel model, FamilyCase one)
    {
        using Sequence sequence = model.Start(Start(model, one.Ids[..1], one.Ids.Length));
        List<float[]> rows = [.. Rows.Forward(model, new Segment(sequence, default, 1))];
        for (int i = 1; i < one.Ids.Length; i++)
        {
            rows.AddRange(Rows.Forward(model, new Segment(sequence, one.Ids.AsMemory(i, 1), 1)));
        }

        return [.. rows];
    }

    private static Prompt Start(OnnxLanguageModel model, int[] tokens, int appended) => Prompt.For(model, tokens) with { MaxAppended = appended };
}
