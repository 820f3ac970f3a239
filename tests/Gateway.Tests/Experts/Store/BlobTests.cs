using System.Security.Cryptography;
using Microsoft.Extensions.Time.Testing;
using ProxyTune.Checkpoints;
using ProxyTune.Gateway.Experts;

namespace ProxyTune.Gateway.Tests.Experts;

public sealed class BlobTests : IDisposable
{
    private static readonly byte[] Weights = StoreFolder.Patch["adapter_model.safetensors"];
    private static readonly string Hash = Convert.ToHexStringLower(SHA256.HashData(Weights));
    private readonly StoreFolder folder = new();

    [Fact]
    public async Task Append_InPieces_BecomesAFileOfAnUpload()
    {
        using (ExpertStore store = folder.Open())
        {
            Assert.Null(store.BlobOffset(Hash));
            Assert.Equal(1000, await Append(store, 0, Weights[..1000]));
        }

        // The store is opened again, as after a restart.
        using ExpertStore again = folder.Open();
        Assert.Equal(1000, again.BlobOffset(Hash));
        Assert.Equal(Weights.Length, await Append(again, 1000, Weights[1000..]));
        Assert.Equal(Weights.Length, again.BlobOffset(Hash));
        using (ExpertUpload upload = again.Begin())
        {
            await upload.AddAsync("adapter_config.json", new MemoryStream(StoreFolder.Patch["adapter_config.json"]));
            await upload.AddBlobAsync("adapter_model.safetensors", Hash);
            again.Verify(await upload.CommitAsync("a"));
        }

        Assert.Null(again.BlobOffset(Hash));
        Assert.Equal(again.Get("a").Bytes, again.Bytes);
    }

    [Fact]
    public async Task Append_WrongOffset_NamesTheExpectedOne()
    {
        using ExpertStore store = folder.Open();
        await Append(store, 0, Weights[..10]);
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => Append(store, 5, Weights[5..]));
        Assert.Equal((EngineError.Conflict, "Upload-Offset"), (error.Error, error.Field));
        Assert.Contains("continues at 10", error.Message, StringComparison.Ordinal);
        Assert.Equal(10, store.Bytes);
    }

    [Fact]
    public async Task Append_BytesOfAnotherHash_AreDeletedWhenComplete()
    {
        using ExpertStore store = folder.Open();
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => Append(store, 0, [.. Weights[..^1], (byte)(Weights[^1] ^ 1)]));
        Assert.Equal(EngineError.InvalidExpert, error.Error);
        Assert.Null(store.BlobOffset(Hash));
        Assert.Equal(0, store.Bytes);
    }

    [Fact]
    public async Task Append_MoreThanItsLength_IsRefused()
    {
        using ExpertStore store = folder.Open();
        Assert.Equal(EngineError.UploadTooLarge, (await Assert.ThrowsAsync<EngineException>(() => store.AppendBlobAsync(Hash, 0, 10, new MemoryStream(Weights)))).Error);
        Assert.Equal(EngineError.UploadTooLarge, (await Assert.ThrowsAsync<EngineException>(() => store.AppendBlobAsync(Hash, 0, long.MaxValue, Stream.Null))).Error);
        Assert.Equal(store.BlobOffset(Hash) ?? 0, store.Bytes);
    }

    [Fact]
    public async Task Append_Interrupted_KeepsTheReceivedBytes()
    {
        using ExpertStore store = folder.Open();
        await Assert.ThrowsAsync<EngineException>(() => store.AppendBlobAsync(Hash, 0, Weights.Length, new BrokenStream(Weights[..700])));
        Assert.Equal(700, store.BlobOffset(Hash));
        Assert.Equal(700, store.Bytes);
        Assert.Equal(Weights.Length, await Append(store, 700, Weights[700..]));
    }

    [Theory]
    [InlineData("../../../../etc/passwd")]
    [InlineData("")]
    [InlineData("ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789")]
    public async Task Append_NoHash_IsRefused(string sha256)
    {
        using ExpertStore store = folder.Open();
        Assert.Equal(EngineError.InvalidValue, (await Assert.ThrowsAsync<EngineException>(() => store.AppendBlobAsync(sha256, 0, 1, Stream.Null))).Error);
        Assert.Throws<EngineException>(() => store.BlobOffset(sha256));
    }

    [Fact]
    public async Task AddBlob_Incomplete_IsRefused()
    {
        using ExpertStore store = folder.Open();
        await Append(store, 0, Weights[..10]);
        using ExpertUpload upload = store.Begin();
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => upload.AddBlobAsync("adapter_model.safetensors", Hash));
        Assert.Equal(EngineError.UnknownUpload, error.Error);
        Assert.Contains("10 of its bytes", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Blob_OlderThanItsLifetime_IsDeleted()
    {
        FakeTimeProvider time = new(DateTimeOffset.UtcNow);
        using ExpertStore store = folder.Open(time: time);
        await Append(store, 0, Weights[..10]);
        time.Advance(store.Options.BlobLifetime - TimeSpan.FromMinutes(1));
        await store.AppendBlobAsync(new string('0', 64), 0, 9, new MemoryStream([1]));
        Assert.Equal(10, store.BlobOffset(Hash));
        time.Advance(TimeSpan.FromMinutes(2));
        await store.AppendBlobAsync(new string('1', 64), 0, 9, new MemoryStream([1]));
        Assert.Null(store.BlobOffset(Hash));
    }

    public void Dispose() => folder.Dispose();

    private static Task<long> Append(ExpertStore store, long offset, byte[] bytes) => store.AppendBlobAsync(Hash, offset, Weights.Length, new MemoryStream(bytes));

    private sealed class BrokenStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            await base.ReadAsync(buffer, cancellationToken) is var read and > 0 ? read : throw new IOException("gone");
    }
}
