using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>Files that come in pieces, known by their SHA-256: an upload that breaks goes on where it was. Thread-safe.</summary>
/// <remarks>Nothing is stored beside a blob's bytes, since the hash says whether they are all there.</remarks>
internal sealed class BlobStore(string folder, ExpertStoreOptions options, StoreBudget budget, TimeProvider time)
{
    private const string Partial = ".partial";
    private const int MaxBlobs = 256;

    /// <summary>Bytes that are there; null for an unknown blob.</summary>
    public long? Offset(string sha256) => Size(PathOf(sha256)) ?? Size(PathOf(sha256) + Partial);

    /// <summary>Adds bytes. Those that came before a connection broke stay.</summary>
    /// <param name="length">Of the whole blob.</param>
    /// <returns>Bytes that are there now.</returns>
    /// <exception cref="EngineException">Conflict: another offset is wanted, or somebody else writes it; UploadTooLarge; StoreFull; InvalidExpert: it is whole, and has another hash.</exception>
    public async Task<long> AppendAsync(string sha256, long offset, long length, Stream content, CancellationToken cancellation)
    {
        string path = PathOf(sha256);
        if (length < 1 || length > options.MaxUploadBytes)
        {
            throw new EngineException(EngineError.UploadTooLarge, $"Upload-Length is {length}; accepted are 1 to {options.MaxUploadBytes} (Experts:MaxUploadBytes).", "Upload-Length");
        }

        if (Size(path) is { } whole)
        {
            CheckOffset(sha256, offset, whole);
            return whole;
        }

        MakeRoom(path + Partial);
        long there;
        FileStream file = Claim(sha256, path + Partial);
        await using (file.ConfigureAwait(false))
        {
            CheckOffset(sha256, offset, file.Length);
            there = await AppendAsync(file, length, content, cancellation).ConfigureAwait(false);
        }

        if (there == length)
        {
            Complete(sha256, path);
        }

        return there;
    }

    /// <exception cref="EngineException">UnknownUpload: no such blob, or not all of it.</exception>
    public FileStream Open(string sha256)
    {
        string path = PathOf(sha256);
        return File.Exists(path)
            ? new(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1, useAsync: true)
            : throw new EngineException(EngineError.UnknownUpload, $"There is no complete blob {sha256}; {Offset(sha256) ?? 0} of its bytes are here.", "blob");
    }

    public void Remove(string sha256) => Remove(new FileInfo(PathOf(sha256)));

    /// <summary>Counts what is there, and removes what was left too long ago.</summary>
    public void Sweep()
    {
        foreach (FileInfo blob in Blobs())
        {
            budget.Add(blob.Length);
        }

        RemoveOld();
    }

    private async Task<long> AppendAsync(FileStream file, long length, Stream content, CancellationToken cancellation)
    {
        long before = file.Length, taken = 0;
        file.Position = before;
        try
        {
            await StagedFile.CopyAsync(content, file, Count, null, cancellation).ConfigureAwait(false);
        }
        finally
        {
            // What was counted and not written any more.
            budget.Add(file.Length - before - taken);
            file.Flush(flushToDisk: true);
        }

        return file.Length;

        void Count(int bytes)
        {
            if (before + taken + bytes > length)
            {
                throw new EngineException(EngineError.UploadTooLarge, $"More bytes come than the {length} that Upload-Length says.", "Upload-Length");
            }

            budget.Take(bytes);
            taken += bytes;
        }
    }

    private void Complete(string sha256, string path)
    {
        string hash = ContentHash.OfFile(path + Partial);
        if (hash != sha256)
        {
            Remove(new FileInfo(path + Partial));
            throw new EngineException(EngineError.InvalidExpert, $"The bytes that came for blob {sha256} have the SHA-256 {hash}; they are removed.", "sha256");
        }

        File.Move(path + Partial, path);
    }

    private void MakeRoom(string path)
    {
        Directory.CreateDirectory(folder);
        RemoveOld();
        if (!File.Exists(path) && Blobs().Count() >= MaxBlobs)
        {
            throw new EngineException(EngineError.StoreFull, $"There are {MaxBlobs} blobs that no upload has used; one of them goes when {options.BlobLifetime} have passed.", "sha256");
        }
    }

    private void RemoveOld()
    {
        DateTime oldest = (time.GetUtcNow() - options.BlobLifetime).UtcDateTime;
        foreach (FileInfo blob in Blobs().Where(blob => blob.LastWriteTimeUtc < oldest))
        {
            Remove(blob);
        }
    }

    private void Remove(FileInfo blob)
    {
        if (blob.Exists)
        {
            long bytes = blob.Length;
            blob.Delete();
            budget.Add(-bytes);
        }
    }

    private IEnumerable<FileInfo> Blobs() => Directory.Exists(folder) ? new DirectoryInfo(folder).EnumerateFiles() : [];

    private string PathOf(string sha256) => ContentHash.IsHash(sha256)
        ? Path.Combine(folder, sha256)
        : throw new EngineException(EngineError.InvalidValue, $"'{UploadName.Printable(sha256)}' is no SHA-256; accepted are {ContentHash.Length} lower-case hex digits.", "sha256");

    private static FileStream Claim(string sha256, string path)
    {
        try
        {
            return new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, useAsync: true);
        }
        catch (IOException error) when (error is not (DirectoryNotFoundException or PathTooLongException))
        {
            throw new EngineException(EngineError.Conflict, $"Blob {sha256} is being written by another request.", "sha256", error);
        }
    }

    private static void CheckOffset(string sha256, long offset, long there)
    {
        if (offset != there)
        {
            throw new EngineException(EngineError.Conflict, $"Upload-Offset is {offset}; blob {sha256} goes on at {there}.", "Upload-Offset");
        }
    }

    private static long? Size(string path) => new FileInfo(path) is { Exists: true } file ? file.Length : null;
}
