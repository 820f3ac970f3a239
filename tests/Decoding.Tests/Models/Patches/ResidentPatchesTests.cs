using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Tests.Models;

public sealed class ResidentPatchesTests : IDisposable
{
    private readonly PatchedFamily family = new();
    private readonly List<int> loads = [];

    [Fact]
    public void Get_MoreThanFits_EvictsTheLeastRecentlyUsed()
    {
        PatchSum[] patches = [.. Enumerable.Range(0, 4).Select(seed => PatchedFamily.Sum((family.Patch(seed, 3, "q_proj"), 1)))];
        using ResidentPatches resident = new(3 * patches[0].Bytes);
        Array.ForEach([0, 1, 2, 0, 3], Get);

        // 3 evicts 1 because 0 was used again.
        Array.ForEach([0, 2, 3], Get);
        Assert.Equal([0, 1, 2, 3], loads);
        Get(1);
        Assert.Equal([0, 1, 2, 3, 1], loads);
        Get(0);
        Assert.Equal([0, 1, 2, 3, 1, 0], loads);
        Assert.Equal((3, 3 * patches[0].Bytes, 6L, 3L), (resident.Statistics.Count, resident.Statistics.Bytes, resident.Statistics.Loads, resident.Statistics.Evictions));

        void Get(int which) => Assert.Same(patches[which], resident.Get(which, () =>
        {
            loads.Add(which);
            return patches[which];
        }));
    }

    [Fact]
    public void Get_AfterAFailedLoad_LoadsAgain()
    {
        PatchSum patch = PatchedFamily.Sum((family.Patch(1, 3, "q_proj"), 1));
        using ResidentPatches resident = new(null);
        Assert.Throws<IOException>(() => resident.Get(1, () => throw new IOException()));
        Assert.Equal(0, resident.Statistics.Count);
        Assert.Same(patch, resident.Get(1, () => patch));
    }

    public void Dispose() => family.Dispose();
}
