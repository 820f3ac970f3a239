using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>Files that are uploaded in pieces and named by their SHA-256. An upload that broke off resumes where it stopped. Thread-safe.</summary>
/// <remarks>Only a blob's bytes are stored: its hash tells whether they are complete.</remarks>
internal sealed class BlobStore(string folder, ExpertStoreOptions options, StoreBudget budget, TimeProvider time)
{
    private const string Partial = ".partial";
    private const int MaxBlobs = 256;

    /// <summary>The number of bytes that the store has; null for an unknown blob.</summary>
    public long? Offset(string sha256) => Size(PathOf(sha256)) ?? Size(PathOf(sha256) + Partial);

    /// <summary>Appends bytes. Bytes that arrived before a connection broke are kept.</summary>
    /// <param name="length">Length of the whole blob in bytes.</param>
    /// <returns>The number of bytes that the store has now.</returns>
    /// <exception cref="EngineException">Conflict: the offset is not the number of stored bytes, or another request writes the blob; UploadTooLarge; StoreFull; InvalidExpert: the blob is complete and has another hash.</exception>
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

    /// <exception cref="EngineException">UnknownUpload: there is no such blob, or it is not complete.</exception>
    public FileStream Open(string sha256)
    {
        string path = PathOf(sha256);
        return File.Exists(path)
            ? new(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1, useAsync: true)
            : throw new EngineException(EngineError.UnknownUpload, $"There is no complete blob {sha256}; {Offset(sha256) ?? 0} of its bytes are here.", "blob");
    }

    public void Remove(string sha256) => Remove(new FileInfo(PathOf(sha256)));

    /// <summary>Counts the stored bytes, and removes blobs that are too old.</summary>
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
            // Bytes that were counted but not written.
            budget.Add(file.Length - before - taken);
            file.Flush(flushToDisk: true);
        }

        return file.Length;

        void Count(int bytes)
        {
            if (before + taken + bytes > length)
            {
                throw new EngineException(EngineError.UploadTooLarge, $"The body has more bytes than the {length} that Upload-Length announces.", "Upload-Length");
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
            throw new EngineException(EngineError.InvalidExpert, $"The uploaded bytes of blob {sha256} have the SHA-256 {hash}; they are removed.", "sha256");
        }

        File.Move(path + Partial, path);
    }

    private void MakeRoom(string path)
    {
        Directory.CreateDirectory(folder);
        RemoveOld();
        if (!File.Exists(path) && Blobs().Count() >= MaxBlobs)
        {
            throw new EngineException(EngineError.StoreFull, $"There are {MaxBlobs} blobs that no upload has used; each is removed when it is {options.BlobLifetime} old.", "sha256");
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
        : throw new EngineException(EngineError.InvalidValue, $"'{UploadName.Printable(sha256)}' is not a SHA-256; accepted are {ContentHash.Length} lower-case hex digits.", "sha256");

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
            throw new EngineException(EngineError.Conflict, $"Upload-Offset is {offset}; blob {sha256} continues at {there}.", "Upload-Offset");
        }
    }

    private static long? Size(string path) => new FileInfo(path) is { Exists: true } file ? file.Length : null;
}
