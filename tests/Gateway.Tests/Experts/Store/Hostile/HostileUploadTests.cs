using ProxyTune.Checkpoints;
using ProxyTune.Gateway.Experts;

namespace ProxyTune.Gateway.Tests.Experts;

public sealed class HostileUploadTests
{
    private static readonly Dictionary<string, HostileUpload> All = HostileArchives.All.Concat(HostilePatches.All).Concat(HostileModels.All).ToDictionary(upload => upload.Kind);

    public static TheoryData<string> KindsOfUploads => [.. All.Keys];

    [Theory]
    [MemberData(nameof(KindsOfUploads))]
    public async Task Commit_HostileUpload_IsRefusedByNameAndLeavesNothing(string kind)
    {
        HostileUpload hostile = All[kind];
        using StoreFolder folder = new();
        using ExpertStore store = folder.Open(hostile.Options);
        await StoreFolder.AddAsync(store, "good", StoreFolder.PatchNumber(7));
        (IReadOnlyDictionary<string, string> files, long bytes) = (folder.Contents, store.Bytes);

        EngineException error = await Assert.ThrowsAsync<EngineException>(async () =>
        {
            using ExpertUpload upload = store.Begin();
            foreach ((string name, byte[] content) in hostile.Files())
            {
                await upload.AddAsync(name, new MemoryStream(content));
            }

            await upload.CommitAsync("hostile");
        });

        Assert.True(error.Error is EngineError.InvalidExpert or EngineError.UploadTooLarge, $"{error.Error}: {error.Message}");
        Assert.Contains(hostile.Says, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(folder.Path, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain(error.Message, char.IsControl);
        Assert.Equal(files, folder.Contents);
        Assert.Equal(bytes, store.Bytes);
    }
}
