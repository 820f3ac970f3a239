using Google.Protobuf;
using Onnx;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;
using ProxyTune.Testing.Foreign;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Tests the probe that compares a patch in its slots with dense sums before the patch is used.</summary>
public sealed class PatchProbeTests : IDisposable
{
    private const string Base = "of the base";
    private readonly string folder = Directory.CreateTempSubdirectory("probe-").FullName;
    private readonly List<IDisposable> opened = [];

    public static TheoryData<BuilderForm> Forms() => [.. new BuilderForm[]
    {
        new(BuilderWeights.Plain), new(BuilderWeights.Plain, IsHalf: true, IsPacked: true, Bias: BuilderBias.Add), new(BuilderWeights.Gemm), new(BuilderWeights.FourBits, IsPacked: true),
        new(BuilderWeights.FourBitsDequantized, IsHalf: true),
    }];

    public void Dispose()
    {
        opened.AsEnumerable().Reverse().ToList().ForEach(one => one.Dispose());
        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData(16, 32)]
    [InlineData(10, 32)]
    [InlineData(16, 4)]
    [InlineData(16, 8)]
    public void Check_PatchInItsSlots_EqualsDenseSums(int headSize, int bits)
    {
        TinyModel.WriteCheckpoint(In("checkpoint"), new() { HeadSize = headSize });
        CheckpointExporter.Export(In("checkpoint"), In("model"), bits: bits);

        ProbeRecord record = Checked(In("model"));

        Assert.InRange(record.Difference, 0, 1e-5);
        Assert.Equal(Base, record.Base);
    }

    [Theory]
    [MemberData(nameof(Forms))]
    public void Check_ForeignGraph_EqualsDenseSums(BuilderForm form)
    {
        using BuilderModel built = new(form);
        Assert.InRange(Checked(built.Folder, built.Checkpoint).Difference, 0, form.IsHalf ? 5e-3 : 1e-5);
    }

    [Fact]
    public void Check_GraphWithoutRowSelection_ComparesTheLastRow()
    {
        TinyModel.Write(In("model"));
        Assert.InRange(Checked(In("model"), variant: graph => graph.Model).Difference, 0, 1e-5);
    }

    [Theory]
    [InlineData(PatchProbe.Memory, 32)]
    [InlineData(40_000, 32)]
    [InlineData(1, 32)]
    [InlineData(PatchProbe.Memory, 4)]
    public void Check_WrongValue_NamesPatchBaseAndTarget(long memory, int bits)
    {
        // The memory limits give one group, several groups, and one group per node.
        TinyModel.WriteCheckpoint(In("checkpoint"));
        CheckpointExporter.Export(In("checkpoint"), In("model"), bits: bits);
        (PatchProbe probe, DecoderSession slots, PatchSum patch, FittedPatch fit) = Open(In("model"), memory: memory);
        SlotPair wrong = fit.Pairs[7]!;
        wrong.A[5] += 0.01f;

        EngineException error = Assert.Throws<EngineException>(() => probe.Check(slots, patch, fit));

        Assert.Equal(EngineError.InvalidModelFolder, error.Error);
        Assert.All(["1 patch", Path.Combine("model", "model.onnx"), "model.layers.1.mlp.down_proj.weight", "accepted is 0.0001"], word => Assert.Contains(word, error.Message, StringComparison.Ordinal));
        wrong.A[5] = float.NaN;
        Assert.Contains("differ by Infinity", Assert.Throws<EngineException>(() => probe.Check(slots, patch, fit)).Message, StringComparison.Ordinal);
        Assert.Null(probe.Record(patch));
    }

    [Fact]
    public void Check_Repeated_ComparesWithTheFirstCheck()
    {
        TinyModel.Write(In("model"));
        (PatchProbe probe, DecoderSession slots, PatchSum patch, FittedPatch fit) = Open(In("model"));
        probe.Check(slots, patch, fit);
        probe.Check(slots, patch, fit);
        ProbeRecord kept = probe.Record(patch)!;
        (PatchProbe next, _, _, _) = Open(In("model"));
        next.Add(kept with { Base = "another" });
        Assert.Null(next.Record(patch));
        next.Add(kept);
        next.Check(slots, patch, fit);

        fit.Pairs[0]!.B[3] += 0.3f;

        Assert.Contains("what they were when it was checked first", Assert.Throws<EngineException>(() => next.Check(slots, patch, fit)).Message, StringComparison.Ordinal);
        Assert.Same(kept, next.Record(patch));
    }

    [Theory]
    [InlineData(true, 0, true)]
    [InlineData(true, 0.1f, false)]
    [InlineData(false, 0.1f, true)]
    public void Check_RowOfTheTrainer_IsComparedOnlyOnItsOwnWeights(bool isNative, float error, bool passes)
    {
        TinyModel.Write(In("model"));
        TinyPatch.Write(In("patch"), In("model"), 1, TinyPatch.Modules);
        TinyPatch.WriteDense(In("dense"), In("model"), (In("patch"), 1));
        int[] prompt = [3, 9, 27];
        float[] logits = [.. new SlowLlama(In("dense")).Logits(prompt)[^1].Select(logit => (float)logit)];
        logits[17] += error * logits.Max();
        new PatchManifest { Base = new(Weights: isNative ? Lineage.Of(In("model")) : new string('0', 64)), Probe = new(prompt, logits) }.Write(In("patch"));
        (PatchProbe probe, DecoderSession slots, PatchSum patch, FittedPatch fit) = Open(In("model"));

        Exception? refusal = Record.Exception(() => probe.Check(slots, patch, fit));

        Assert.Equal(passes, refusal is null);
        Assert.Equal(passes ? prompt : null, probe.Record(patch)?.Tokens);
        Assert.Contains(passes ? "" : "recorded on the same weights", refusal?.Message ?? "", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(4, 4)]
    [InlineData(4, 1)]
    [InlineData(8, 1)]
    public void Check_RowOfTheTrainerOnItsQuantisedWeights_IsNotCompared(int bits, int accuracyLevel)
    {
        TinyModel.WriteCheckpoint(In("checkpoint"));
        CheckpointExporter.Export(In("checkpoint"), In("model"), bits: bits);
        string file = Path.Combine(In("model"), "model.onnx");
        ModelProto graph = ModelProto.Parser.ParseFrom(File.ReadAllBytes(file));
        foreach (AttributeProto level in graph.Graph.Node.SelectMany(node => node.Attribute).Where(attribute => attribute.Name == "accuracy_level"))
        {
            level.I = accuracyLevel;
        }

        File.WriteAllBytes(file, graph.ToByteArray());
        Assert.Equal(Lineage.Of(In("checkpoint")), Lineage.Of(In("model")));
        TinyPatch.Write(In("patch"), In("checkpoint"), 1, TinyPatch.Modules);
        TinyPatch.WriteDense(In("dense"), In("checkpoint"), (In("patch"), 1));
        float[] logits = [.. new SlowLlama(In("dense")).Logits([3, 9, 27])[^1].Select(logit => (float)logit)];
        new PatchManifest { Base = new(Weights: Lineage.Of(In("model"))), Probe = new([3, 9, 27], logits) }.Write(In("patch"));

        Assert.Equal([3, 9, 27], Checked(In("model")).Tokens);
    }

    [Fact]
    public void Prepare_PatchWithWrongEffect_IsRefused()
    {
        TinyModel.Write(In("model"));
        TinyPatch.Write(In("patch"), In("model"), 1, TinyPatch.Modules);
        new PatchManifest { Base = new(Weights: Lineage.Of(In("model"))), Probe = new([3, 9], new float[TinyTokenizer.Size]) }.Write(In("patch"));
        using OnnxLanguageModel model = OnnxLanguageModel.Load(In("model"), new());

        Assert.Throws<EngineException>(() => model.Prepare(PatchedFamily.Sum((LowRankPatch.Read(In("patch")), 1))));
    }

    private string In(string name) => Path.Combine(folder, name);

    private ProbeRecord Checked(string model, string? checkpoint = null, Func<DecoderGraph, ModelProto>? variant = null)
    {
        (PatchProbe probe, DecoderSession slots, PatchSum patch, FittedPatch fit) = Open(model, checkpoint, variant);
        probe.Check(slots, patch, fit);
        return probe.Record(patch)!;
    }

    private (PatchProbe Probe, DecoderSession Slots, PatchSum Patch, FittedPatch Fit) Open(
        string model, string? checkpoint = null, Func<DecoderGraph, ModelProto>? variant = null, long memory = PatchProbe.Memory)
    {
        if (!Directory.Exists(In("patch")))
        {
            TinyPatch.Write(In("patch"), checkpoint ?? (Directory.Exists(In("checkpoint")) ? In("checkpoint") : model), 1, TinyPatch.Modules);
        }

        DecoderGraph graph = DecoderGraph.Load(model, new());
        ModelProto run = variant is null ? LogitsRows.Of(graph.Model, graph.Config.Logits)! : variant(graph);
        LinearLayout layout = LinearNodes.Find(run);
        DecoderSession slots = graph.Open(LoraSlots.Of(run, layout.Nodes));
        opened.AddRange([graph, slots]);
        PatchSum patch = PatchedFamily.Sum((LowRankPatch.Read(In("patch")), 1));
        return (new(graph, run, layout.Nodes, Base, memory), slots, patch, FittedPatch.Of(patch, layout.Nodes));
    }
}
