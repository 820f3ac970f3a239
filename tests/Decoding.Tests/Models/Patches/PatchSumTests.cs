using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Testing;
using static ProxyTune.Decoding.Tests.Models.PatchedFamily;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Tests the names and hashes that identify sums of patches.</summary>
public sealed class PatchSumTests : IDisposable
{
    private readonly PatchedFamily family = new();

    public void Dispose() => family.Dispose();

    [Fact]
    public void Hash_SameUpdate_IsEqual()
    {
        LowRankPatch one = family.Patch(1, 3, "q_proj"), two = family.Patch(2, 3, "q_proj");
        string copy = Path.Combine(family.Checkpoint, "a-copy");
        TinyPatch.WriteRank(copy, family.Checkpoint, 1, 3, "q_proj");

        string hash = Sum((one, 0.5), (two, 1)).Hash;

        Assert.Equal(64, hash.Length);
        Assert.Equal(hash, Sum((two, 1), (one, 0.5)).Hash);
        Assert.Equal(hash, Sum((two, 1), (LowRankPatch.Read(copy), 0.5)).Hash);
    }

    [Fact]
    public void Hash_AnotherUpdate_Differs()
    {
        LowRankPatch one = family.Patch(1, 3, "q_proj"), two = family.Patch(2, 3, "q_proj");
        string stronger = Path.Combine(family.Checkpoint, "stronger");
        TinyPatch.WriteRank(stronger, family.Checkpoint, 1, 3, "q_proj");
        TinyPatch.WriteConfig(stronger, config => config["lora_alpha"] = 2 * TinyPatch.Alpha);
        PatchSum[] sums =
        [
            Sum((one, 1)), Sum((one, 2)), Sum((two, 1)), Sum((one, 1), (two, 1)), Sum((LowRankPatch.Read(stronger), 1)), Sum((family.Patch(1, 3, "k_proj"), 1)),
        ];

        Assert.Equal(sums.Length, sums.Select(sum => sum.Hash).Distinct().Count());
    }

    [Fact]
    public void Name_SameSum_IsEqual()
    {
        LowRankPatch one = family.Patch(1, 3, "q_proj"), two = family.Patch(2, 3, "q_proj");
        Assert.Equal($"0.5 {one.Name} + 1 {two.Name}", Sum((two, 1), (one, 0.5)).Name);
    }

    [Fact]
    public void Constructor_PatchTwice_IsRefused()
    {
        LowRankPatch one = family.Patch(1, 3, "q_proj");
        Assert.Contains("2 times", Assert.Throws<EngineException>(() => Sum((one, 1), (one, 2))).Message, StringComparison.Ordinal);
    }
}
