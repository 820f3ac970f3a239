using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;
using ProxyTune.Testing.Foreign;
using static ProxyTune.Decoding.Tests.Models.PatchedFamily;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Compares patches as rows of one pass with models whose weights contain the patches.</summary>
public sealed class PatchedRowsTests
{
    public static TheoryData<string, int> Targets()
    {
        TheoryData<string, int> data = [];
        foreach (string modules in (IEnumerable<string>)[.. TinyPatch.Modules, "q_proj v_proj", "k_proj up_proj down_proj", string.Join(' ', TinyPatch.Modules)])
        {
            data.Add(modules, 16);
            data.Add(modules, 10);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Targets))]
    public void Forward_PatchOfAnyTargets_EqualsMergedWeights(string modules, int headSize)
    {
        using PatchedFamily family = new(new TinyModelOptions { HeadSize = headSize });
        PatchSum patch = Sum((family.Patch(1, 3, modules.Split(' ')), 1));
        int[] text = Rows.Random(1, 9, TinyTokenizer.Size);

        using Sequence sequence = family.Model.Start(Prompt.For(family.Model, text.AsMemory(0, 6), patch));
        float[][] rows = [.. Rows.Forward(family.Model, new Segment(sequence, default, 6)), .. text[6..].SelectMany(token => Rows.Forward(family.Model, new Segment(sequence, new[] { token })))];

        AssertClose(family.Expected(patch, text, 9), rows);
        AssertFar(family.Expected(null, text)[0], rows[^1]);
    }

    [Fact]
    public void Forward_SumOfPatches_EqualsMergedWeights()
    {
        using PatchedFamily family = new();
        PatchSum patch = Sum((family.Patch(1, 3, TinyPatch.Modules), 0.7), (family.Patch(2, 17, "q_proj", "down_proj"), -0.4), (family.Patch(3, 5, "k_proj"), 0));
        int[] text = Rows.Random(2, 12, TinyTokenizer.Size);

        using Sequence sequence = family.Model.Start(Prompt.For(family.Model, text, patch));

        AssertClose(family.Expected(patch, text, 12), Rows.Forward(family.Model, new Segment(sequence, default, 12)));
    }

    [Fact]
    public void Forward_PatchedSequencesStartEndAndMove_EqualMergedWeights()
    {
        using PatchedFamily family = new(new TinyModelOptions { Context = 512 });
        OnnxLanguageModel model = family.Model;
        LowRankPatch one = family.Patch(1, 2, "q_proj", "v_proj"), two = family.Patch(2, 8, TinyPatch.Modules), three = family.Patch(3, 20, "o_proj", "gate_proj");
        PatchSum?[] patches = [null, Sum((one, 1)), Sum((two, 1)), Sum((three, 1)), Sum((one, 0.5), (three, 0.5))];
        Random random = new(5);
        List<(Sequence Sequence, List<int> Text, PatchSum? Patch)> live = [];
        for (int step = 0; step < 60; step++)
        {
            if (live.Count < 6 && random.Next(2) == 0)
            {
                PatchSum? patch = patches[random.Next(patches.Length)];
                int[] text = Rows.Random(step, random.Next(1, random.Next(4) == 0 ? 300 : 20), TinyTokenizer.Size);
                Sequence sequence = model.Start(Prompt.For(model, text, patch));
                AssertClose(family.Expected(patch, text), Rows.Forward(model, new Segment(sequence, default)));
                live.Add((sequence, [.. text], patch));
            }

            // Any subset decodes, in any order, so that rows have to move to be neighbours.
            (Sequence Sequence, List<int> Text, PatchSum? Patch)[] chosen = [.. live.Where(_ => random.Next(3) > 0)];
            random.Shuffle(chosen);
            int token = random.Next(TinyTokenizer.Size);
            float[][] rows = Rows.Forward(model, [.. chosen.Select(c => new Segment(c.Sequence, new[] { token }))]);
            Array.ForEach(chosen, c => c.Text.Add(token));
            for (int i = 0; i < chosen.Length; i++)
            {
                AssertClose(family.Expected(chosen[i].Patch, [.. chosen[i].Text]), [rows[i]]);
            }

            if (live.Count > 0 && random.Next(3) == 0)
            {
                int gone = random.Next(live.Count);
                live[gone].Sequence.Dispose();
                live.RemoveAt(gone);
            }
        }

        live.ForEach(l => l.Sequence.Dispose());
        Assert.Equal(0, model.LiveSequences);
    }

    [Fact]
    public void Forward_AnyPatches_RunsOnceAndUsesSlotsOnlyForPatches()
    {
        using PatchedFamily family = new();
        OnnxLanguageModel model = family.Model;
        PatchSum one = Sum((family.Patch(1, 3, "q_proj"), 1)), two = Sum((family.Patch(2, 4, "up_proj"), 1));
        Sequence[] sequences = [.. new[] { null, one, two, null }.Select(patch => model.Start(Prompt.For(model, new[] { 3 }, patch)))];
        Rows.Forward(model, [.. sequences.Select(s => new Segment(s, default))]);

        Assert.Equal((1, 1), Runs([0, 1, 2, 3]));
        Assert.Equal((1, 0), Runs([0, 3]));

        (long All, long WithSlots) Runs(int[] which)
        {
            (long all, long withSlots) = (model.Runs, model.PatchedRuns);
            Rows.Forward(model, [.. which.Select(i => new Segment(sequences[i], new[] { 4 }))]);
            return (model.Runs - all, model.PatchedRuns - withSlots);
        }
    }

    [Fact]
    public void Prepare_WeightsFileWasReplaced_UsesTheMappedWeights()
    {
        using PatchedFamily family = new();
        PatchSum patch = Sum((family.Patch(1, 3, TinyPatch.Modules), 1));
        int[] text = Rows.Random(1, 9, TinyTokenizer.Size);
        float[][] expected = family.Expected(patch, text);
        string weights = Path.Combine(family.Checkpoint, "model.safetensors"), zeros = weights + ".new";
        File.WriteAllBytes(zeros, new byte[new FileInfo(weights).Length]);
        File.Move(zeros, weights, overwrite: true);

        using Sequence sequence = family.Model.Start(Prompt.For(family.Model, text, patch));

        AssertClose(expected, Rows.Forward(family.Model, new Segment(sequence, default)));
    }

    /// <summary>Patches of other targets make sessions with more slots while sequences run, and the model is disposed meanwhile.</summary>
    [Fact]
    public async Task Prepare_WhileSequencesRunAndTheModelIsDisposed_KeepsTheRowsAndRefusesTheRest()
    {
        using PatchedFamily family = new();
        OnnxLanguageModel model = OnnxLanguageModel.Load(family.Checkpoint, new());
        string[] targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
        PatchSum[] patches = [.. targets.Select((target, i) => Sum((family.Patch(i + 1, 2, target), 1)))];
        int[] text = Rows.Random(1, 9, TinyTokenizer.Size);
        float[][][] expected = [.. patches.Select(patch => family.Expected(patch, text))];
        int prepared = 0;
        Task[] preparing =
        [
            .. patches.Select((patch, i) => Task.Run(() =>
            {
                for (int k = 0; k < 3; k++)
                {
                    using Sequence sequence = model.Start(Prompt.For(model, text, patch));
                    AssertClose(expected[i], Rows.Forward(model, new Segment(sequence, default)));
                }

                Interlocked.Increment(ref prepared);
            })),
        ];
        await Task.WhenAll(preparing);
        Assert.Equal(patches.Length, prepared);

        PatchSum[] late = [.. Enumerable.Range(0, 20).Select(i => Sum((family.Patch(i + 50, 2, "q_proj"), 1)))];
        Task[] tries = [.. late.Select(patch => Task.Run(() => model.Prepare(patch)))];
        model.Dispose();
        foreach (Task one in tries)
        {
            await one.ContinueWith(done => Assert.True(done.Exception is null or { InnerException: ObjectDisposedException }, $"{done.Exception}"), TaskScheduler.Default);
        }

        Assert.Throws<ObjectDisposedException>(() => model.Prepare(Sum((family.Patch(99, 2, "k_proj"), 1))));
    }

    [Theory]
    [InlineData(ForeignKind.SeparateProjections)]
    [InlineData(ForeignKind.PositionIds)]
    [InlineData(ForeignKind.ExternalFiles)]
    public void Forward_ForeignGraph_EqualsMergedWeights(ForeignKind kind)
    {
        using PatchedFamily family = new();
        PatchSum patch = Sum((family.Patch(1, 3, TinyPatch.Modules), 1));
        int[] text = Rows.Random(1, 9, TinyTokenizer.Size);
        using ForeignModel foreign = ForeignModel.Create(kind);
        using OnnxLanguageModel model = OnnxLanguageModel.Load(foreign.Folder, new());

        using Sequence sequence = model.Start(Prompt.For(model, text, patch));

        AssertClose(family.Expected(patch, text, 9), Rows.Forward(model, new Segment(sequence, default, 9)));
    }

    [Fact]
    public void Start_PatchOfUnknownNodes_IsRefusedByName()
    {
        // Without GroupQueryAttention the graph does not show the layout of the heads.
        using PatchedFamily family = new();
        using ForeignModel foreign = ForeignModel.Create(ForeignKind.PlainAttention);
        using OnnxLanguageModel model = OnnxLanguageModel.Load(foreign.Folder, new());
        PatchSum feedForward = Sum((family.Patch(1, 3, "gate_proj", "up_proj", "down_proj"), 1)), attention = Sum((family.Patch(1, 3, "k_proj"), 1));
        int[] text = Rows.Random(1, 9, TinyTokenizer.Size);

        using Sequence sequence = model.Start(Prompt.For(model, text.AsMemory(0, 8), feedForward));
        float[][] rows = [.. Rows.Forward(model, new Segment(sequence, default, 8)), .. Rows.Forward(model, new Segment(sequence, text.AsMemory(8)))];
        EngineException error = Assert.Throws<EngineException>(() => model.Start(Prompt.For(model, text, attention)));

        AssertClose(family.Expected(feedForward, text, 9), rows);
        Assert.Equal("model.layers.0.self_attn.k_proj.weight", model.UnknownTarget(attention));
        Assert.Contains("'model.layers.0.self_attn.k_proj.weight'", error.Message, StringComparison.Ordinal);
        Assert.Contains(foreign.Folder, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Start_PatchOfAnotherShape_NamesFileAndTensor()
    {
        using PatchedFamily family = new(), wider = new(new TinyModelOptions { Hidden = 48 });
        LowRankPatch patch = wider.Patch(1, 3, "o_proj");
        EngineException error = Assert.Throws<EngineException>(() => family.Model.Prepare(Sum((patch, 0))));
        Assert.Equal(EngineError.InvalidModelFolder, error.Error);
        Assert.Contains(TinyPatch.WeightsFile, error.Message, StringComparison.Ordinal);
        Assert.Contains("'model.layers.0.self_attn.o_proj.weight' is changed as [48, 64]; the model's is [32, 64]", error.Message, StringComparison.Ordinal);
    }
}
