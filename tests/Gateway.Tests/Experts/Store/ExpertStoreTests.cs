using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Time.Testing;
using ProxyTune.Checkpoints;
using ProxyTune.Gateway.Experts;

namespace ProxyTune.Gateway.Tests.Experts;

public sealed class ExpertStoreTests : IDisposable
{
    private readonly StoreFolder folder = new();

    /// <summary>Info-ZIP, writing into a pipe, knows the length but neither the checksum nor the packed size when it writes the header.</summary>
    [Fact]
    public async Task Commit_ArchiveThatWasWrittenIntoAPipe_IsUnpacked()
    {
        using ExpertStore store = folder.Open();
        using ExpertUpload upload = store.Begin();
        await upload.AddAsync("patch.zip", new MemoryStream(new RawZip().Add([.. StoreFolder.Patch.Select(file => new RawZip.Entry(file.Key, file.Value) { Streamed = true })]).Finish()));
        ExpertRecord added = await upload.CommitAsync("streamed");
        Assert.Equal(StoreFolder.Patch.Keys.Order(StringComparer.Ordinal), added.Files.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Commit_FolderOfATrainer_KeepsTheFilesOfThePatch()
    {
        using ExpertStore store = folder.Open();
        Dictionary<string, byte[]> files = StoreFolder.Patch;
        foreach (string name in new[] { "README.md", "trainer_state.json", "all_results.json", "trainer_log.jsonl", "tokenizer.model", "training_loss.png", "special_tokens_map.json" })
        {
            files[name] = "{}"u8.ToArray();
        }

        ExpertRecord added = await StoreFolder.AddAsync(store, "trained", files);
        Assert.Equal(StoreFolder.Patch.Keys.Order(StringComparer.Ordinal), added.Files.Keys.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Commit_Patch_IsListedAfterReopening()
    {
        FakeTimeProvider time = new(DateTimeOffset.UnixEpoch);
        ExpertRecord added;
        using (ExpertStore store = folder.Open(time: time))
        {
            added = await StoreFolder.AddAsync(store, "a", StoreFolder.Patch);
            Assert.Equal((ExpertKind.Patch, DateTimeOffset.UnixEpoch, StoreFolder.Patch.Sum(file => file.Value.Length)), (added.Kind, added.Created, added.Bytes));
            Assert.Equal(added.Bytes, store.Bytes);
        }

        using ExpertStore again = folder.Open();
        ExpertRecord found = Assert.Single(again.Experts);
        Assert.Equal(added with { Files = found.Files }, found);
        Assert.Equal(added.Bytes, again.Bytes);
        again.Verify(found);
        Assert.All(StoreFolder.Patch, file => Assert.Equal(file.Value, File.ReadAllBytes(Path.Combine(again.FolderOf(found), file.Key))));
    }

    [Fact]
    public async Task Commit_Content_IsNamedLikeSha256Sum()
    {
        using ExpertStore store = folder.Open();
        ExpertRecord added = await StoreFolder.AddAsync(store, "a", StoreFolder.Patch);
        string list = string.Concat(new[] { "adapter_config.json", "adapter_model.safetensors" }
            .Select(name => $"{Convert.ToHexStringLower(SHA256.HashData(StoreFolder.Patch[name]))}  {name}\n"));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(list))), added.Content);
        Assert.Equal(added.Content, Path.GetFileName(store.FolderOf(added)));
    }

    [Fact]
    public async Task Commit_SameFilesUnderTwoIds_AreStoredOnceUntilBothAreDeleted()
    {
        using ExpertStore store = folder.Open();
        ExpertRecord first = await StoreFolder.AddAsync(store, "a", StoreFolder.Patch), second = await StoreFolder.AddAsync(store, "b", StoreFolder.Patch);
        Assert.Equal(store.FolderOf(first), store.FolderOf(second));
        Assert.Equal(first.Bytes, store.Bytes);
        store.Remove("a");
        store.Verify(second);
        store.Remove("b");
        Assert.False(Directory.Exists(store.FolderOf(first)));
        Assert.Equal(0, store.Bytes);
    }

    [Fact]
    public async Task Commit_TakenId_SucceedsOnlyForTheSameFiles()
    {
        using ExpertStore store = folder.Open();
        ExpertRecord first = await StoreFolder.AddAsync(store, "a", StoreFolder.Patch);
        Assert.Equal(first, await StoreFolder.AddAsync(store, "a", StoreFolder.Patch));
        Assert.Equal(EngineError.Conflict, (await Assert.ThrowsAsync<EngineException>(() => StoreFolder.AddAsync(store, "a", StoreFolder.PatchNumber(1)))).Error);
        Assert.Equal(first.Bytes, store.Bytes);
    }

    [Theory]
    [InlineData("")]
    [InlineData("A")]
    [InlineData(".a")]
    [InlineData("a/b")]
    [InlineData("..")]
    [InlineData("a\n")]
    public async Task Commit_InvalidId_IsRefused(string id)
    {
        using ExpertStore store = folder.Open();
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => StoreFolder.AddAsync(store, id, StoreFolder.Patch));
        Assert.Equal(("id", EngineError.InvalidValue), (error.Field, error.Error));
    }

    [Fact]
    public async Task Upload_Disposed_LeavesNothing()
    {
        using ExpertStore store = folder.Open();
        using (ExpertUpload upload = store.Begin())
        {
            await upload.AddAsync("adapter_config.json", new MemoryStream(StoreFolder.Patch["adapter_config.json"]));
            Assert.NotEqual(0, store.Bytes);
        }

        Assert.Empty(folder.Contents);
        Assert.Equal(0, store.Bytes);
    }

    [Fact]
    public async Task Commit_TrialRefuses_LeavesNothing()
    {
        using ExpertStore store = folder.Open(trial: (_, _, _) => throw new EngineException(EngineError.InvalidExpert, "no"));
        await Assert.ThrowsAsync<EngineException>(() => StoreFolder.AddAsync(store, "a", StoreFolder.Patch));
        Assert.Empty(folder.Contents);
    }

    [Fact]
    public async Task Commit_MoreThanMaxExperts_LeavesTheOldState()
    {
        using ExpertStore store = folder.Open(new() { MaxExperts = 1 });
        await StoreFolder.AddAsync(store, "a", StoreFolder.Patch);
        IReadOnlyDictionary<string, string> before = folder.Contents;
        Assert.Equal(EngineError.StoreFull, (await Assert.ThrowsAsync<EngineException>(() => StoreFolder.AddAsync(store, "b", StoreFolder.PatchNumber(1)))).Error);
        Assert.Equal(before, folder.Contents);
        Assert.Equal(store.Get("a").Bytes, store.Bytes);
    }

    [Fact]
    public async Task Upload_OverTheStoresLimit_IsRefusedAndFreesItsBytes()
    {
        using ExpertStore store = folder.Open(new() { MaxBytes = 1 << 20, MaxUploadBytes = 1 << 20 });
        ExpertRecord first = await StoreFolder.AddAsync(store, "a", StoreFolder.Patch);
        using (ExpertUpload upload = store.Begin())
        {
            EngineException error = await Assert.ThrowsAsync<EngineException>(() => upload.AddAsync("model.onnx.data", new MemoryStream(new byte[(1 << 20) - first.Bytes + 1])));
            Assert.Equal(EngineError.StoreFull, error.Error);
        }

        Assert.Equal(first.Bytes, store.Bytes);
        await StoreFolder.AddAsync(store, "b", StoreFolder.PatchNumber(1));
    }

    [Fact]
    public async Task Open_AfterACrash_DeletesUnreferencedFiles()
    {
        using (ExpertStore store = folder.Open())
        {
            await StoreFolder.AddAsync(store, "a", StoreFolder.Patch);
        }

        IReadOnlyDictionary<string, string> before = folder.Contents;
        foreach (string left in new[] { "staging/abc/x", "staging/abc.zip", $"content/{new string('0', 64)}/x" })
        {
            string path = Path.Combine(folder.Path, left);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, "x");
        }

        using ExpertStore again = folder.Open();
        Assert.Equal(before, folder.Contents);
    }

    [Fact]
    public async Task Verify_ChangedFile_NamesIt()
    {
        using ExpertStore store = folder.Open();
        ExpertRecord added = await StoreFolder.AddAsync(store, "a", StoreFolder.Patch);
        string path = Path.Combine(store.FolderOf(added), "adapter_model.safetensors");
        byte[] bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 1;
        File.WriteAllBytes(path, bytes);
        EngineException error = Assert.Throws<EngineException>(() => store.Verify(added));
        Assert.Equal(("adapter_model.safetensors", EngineError.DamagedExpert), (error.Field, error.Error));
        File.Delete(path);
        Assert.Equal("adapter_model.safetensors", Assert.Throws<EngineException>(() => store.Verify(added)).Field);
    }

    [Fact]
    public async Task Verify_DeletedMeanwhile_SaysSo()
    {
        using ExpertStore store = folder.Open();
        ExpertRecord added = await StoreFolder.AddAsync(store, "a", StoreFolder.Patch);
        store.Update(file => file.Without("a"));
        Assert.Equal(("id", EngineError.UnknownUpload), Facts(Assert.Throws<EngineException>(() => store.Verify(added))));

        static (string?, EngineError) Facts(EngineException error) => (error.Field, error.Error);
    }

    [Fact]
    public async Task Verify_AddedFile_NamesIt()
    {
        using ExpertStore store = folder.Open();
        ExpertRecord added = await StoreFolder.AddAsync(store, "a", StoreFolder.Patch);
        File.WriteAllText(Path.Combine(store.FolderOf(added), "manifest.json"), "{}");
        Assert.Equal("manifest.json", Assert.Throws<EngineException>(() => store.Verify(added)).Field);
    }

    [Fact]
    public void Open_FolderAlreadyOpen_IsRefused()
    {
        using ExpertStore store = folder.Open();
        store.Begin().Dispose();
        Assert.Equal(EngineError.Conflict, Assert.Throws<EngineException>(() => folder.Open()).Error);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("""{"expert": []}""")]
    [InlineData("""{"experts": null}""")]
    [InlineData("""{"experts": [{"id": "a", "kind": "patch", "content": "../..", "bytes": 1, "files": {}, "created": "2026-01-01T00:00:00Z"}]}""")]
    public void Open_BrokenRegistry_NamesIt(string json)
    {
        Directory.CreateDirectory(folder.Path);
        File.WriteAllText(Path.Combine(folder.Path, "registry.json"), json);
        EngineException error = Assert.Throws<EngineException>(() => folder.Open());
        Assert.Equal(EngineError.InvalidCatalog, error.Error);
        Assert.Contains("registry.json", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Registry_SnapshotHeldByAReader_DoesNotChange()
    {
        using ExpertStore store = folder.Open();
        await StoreFolder.AddAsync(store, "b", StoreFolder.Patch);
        RegistryFile held = store.Registry;
        await StoreFolder.AddAsync(store, "a", StoreFolder.PatchNumber(1));
        store.Remove("b");
        Assert.Equal(["b"], held.Experts.Select(expert => expert.Id));
        Assert.Equal(["a"], store.Experts.Select(expert => expert.Id));
    }

    [Fact]
    public async Task Commit_FromManyThreads_KeepsAll()
    {
        using ExpertStore store = folder.Open();
        await Task.WhenAll(Enumerable.Range(0, 16).Select(i => Task.Run(() => StoreFolder.AddAsync(store, $"p{i:d2}", StoreFolder.PatchNumber(i % 8)))));
        Assert.Equal(Enumerable.Range(0, 16).Select(i => $"p{i:d2}"), store.Experts.Select(expert => expert.Id));
        Assert.All(store.Experts, store.Verify);
        Assert.Equal(store.Experts.DistinctBy(expert => expert.Content).Sum(expert => expert.Bytes), store.Bytes);
    }

    [Fact]
    public void Open_InvalidOption_NamesIt()
    {
        ExpertStoreOptions usual = new();
        foreach ((string setting, ExpertStoreOptions options) in new[]
        {
            ("MaxBytes", usual with { MaxBytes = 1 }), ("MaxUploadBytes", usual with { MaxUploadBytes = usual.MaxBytes + 1 }), ("MaxFiles", usual with { MaxFiles = 1 }),
            ("MaxRatio", usual with { MaxRatio = 0 }), ("MaxRank", usual with { MaxRank = 0 }), ("MaxTrialTime", usual with { MaxTrialTime = TimeSpan.Zero }),
            ("BlobLifetime", usual with { BlobLifetime = TimeSpan.Zero }),
        })
        {
            EngineException error = Assert.Throws<EngineException>(() => folder.Open(options));
            Assert.Equal((EngineError.InvalidValue, $"Experts:{setting}"), (error.Error, error.Field));
        }
    }

    public void Dispose() => folder.Dispose();
}
