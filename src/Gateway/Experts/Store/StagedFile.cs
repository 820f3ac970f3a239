using System.Buffers;
using System.Security.Cryptography;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>Writes a file of an upload as its bytes arrive.</summary>
internal static class StagedFile
{
    private const int BufferBytes = 1 << 16;

    /// <summary>Writes a new file and flushes it to the disk.</summary>
    /// <param name="count">Gets the size of every piece before it is written; throws if the limit is reached.</param>
    /// <returns>SHA-256, lower-case hex.</returns>
    public static async Task<string> WriteAsync(string path, Stream content, Action<int> count, CancellationToken cancellation)
    {
        FileStream file = new(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, useAsync: true);
        await using (file.ConfigureAwait(false))
        {
            using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            await CopyAsync(content, file, count, hash, cancellation).ConfigureAwait(false);
            file.Flush(flushToDisk: true);
            return Convert.ToHexStringLower(hash.GetHashAndReset());
        }
    }

    public static async Task CopyAsync(Stream content, Stream file, Action<int> count, IncrementalHash? hash, CancellationToken cancellation)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            for (int read; (read = await ReadAsync(content, buffer, cancellation).ConfigureAwait(false)) > 0;)
            {
                count(read);
                hash?.AppendData(buffer, 0, read);
                await file.WriteAsync(buffer.AsMemory(0, read), cancellation).ConfigureAwait(false);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static async ValueTask<int> ReadAsync(Stream content, byte[] buffer, CancellationToken cancellation)
    {
        try
        {
            return await content.ReadAsync(buffer, cancellation).ConfigureAwait(false);
        }
        catch (IOException error) when (error.GetType() == typeof(IOException))
        {
            // The form ends too early. A broken connection throws a type of its own.
            throw new EngineException(EngineError.InvalidExpert, $"The upload broke off: {error.Message}", inner: error);
        }
    }
}
