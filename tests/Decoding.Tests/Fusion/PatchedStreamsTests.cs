using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Tests.Models;
using ProxyTune.Testing;
using static ProxyTune.Decoding.Tests.Models.PatchedFamily;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Tests experts that are patches of one small base.</summary>
public sealed class PatchedStreamsTests
{
    [Fact]
    public void Forward_ExpertsOfOneBase_AreRowsOfOnePassWithTheirAntiExpert()
    {
        using PatchedFamily bases = new(), family = new(new TinyModelOptions { Seed = 3 });
        OnnxLanguageModel small = family.Model;
        PatchSum one = Sum((family.Patch(1, 3, "q_proj", "up_proj"), 1)), two = Sum((family.Patch(2, 6, "v_proj"), 0.5));
        using FusedModel fused = new("fused", [bases.Model, small]);
        FusionPlan plan = new([new(bases.Model, StreamRole.Base, 1), new(small, StreamRole.Expert, Patch: one), new(small, StreamRole.AntiExpert), new(small, StreamRole.Expert, Patch: two)])
        {
            Deltas = [new("one", 1, 2, 0.7f), new("two", 3, 2, 1.2f)],
        };
        int[] text = Rows.Random(1, 6, TinyTokenizer.Size);

        using Sequence sequence = fused.Start(new(plan, [.. plan.Streams.Select(_ => (ReadOnlyMemory<int>)text.AsMemory(0, 5))]));
        Rows.Forward(fused, new Segment(sequence, default));
        long before = small.Runs;
        float[] row = Rows.Forward(fused, new Segment(sequence, text.AsMemory(5)))[0];
        Assert.Equal((1, 3), (small.Runs - before, small.LiveSequences));

        float[] ofBase = bases.Expected(null, text)[0], plain = family.Expected(null, text)[0], first = family.Expected(one, text)[0], second = family.Expected(two, text)[0];
        float[] expected = [.. ofBase.Select((logit, i) => logit + (0.7f * (first[i] - plain[i])) + (1.2f * (second[i] - plain[i])))];
        AssertClose([expected], [row]);
    }

    [Fact]
    public void Start_StreamsWithEqualPatches_ShareOneSequence()
    {
        using PatchedFamily family = new();
        LowRankPatch patch = family.Patch(1, 3, "q_proj");
        using FusedModel fused = new("fused", [family.Model]);
        FusionPlan plan = new(
            [new(family.Model, StreamRole.Base, 1), new(family.Model, StreamRole.Expert, 1, Patch: Sum((patch, 1))), new(family.Model, StreamRole.Expert, 1, Patch: Sum((patch, 1))), new(family.Model, StreamRole.Expert, 1, Patch: Sum((patch, 2)))]);

        using Sequence sequence = fused.Start(new(plan, [.. plan.Streams.Select(_ => (ReadOnlyMemory<int>)new[] { 1, 2 })]));

        Assert.Equal(3, family.Model.LiveSequences);
    }
}
