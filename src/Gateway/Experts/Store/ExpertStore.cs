using System.Collections.Frozen;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>
/// A folder of uploaded experts: <c>registry.json</c>, files under <c>content/HASH</c>, incomplete uploads under <c>staging</c>, and <c>reserve</c>, whose
/// room a deletion takes on a full disk. Content never
/// changes. It is written before the registry names it, and deleted after the registry no longer names it. So a crash leaves either the old or the
/// new state. Opening the folder deletes everything that the registry does not name.
/// </summary>
/// <remarks>Thread-safe. Readers get an immutable snapshot; one writer at a time. Only one process may use a folder.</remarks>
public sealed class ExpertStore : IDisposable
{
    // More than a registry of many thousand experts takes.
    private const int ReserveBytes = 1 << 20;

    private readonly Lock writeLock = new();
    private readonly string folder;
    private readonly StoredContent content;
    private readonly ExpertTrial? trial;
    private readonly TimeProvider time;
    private FileStream? claim;
    private Snapshot current = new(new());

    private ExpertStore(string folder, ExpertStoreOptions options, ExpertTrial? trial, TimeProvider time)
    {
        (this.folder, Options, this.trial, this.time) = (folder, options.Checked(), trial, time);
        Budget = new(options.MaxBytes);
        content = new(Path.Combine(folder, "content"), Budget);
        Blobs = new(Path.Combine(Staging, "blobs"), options, Budget, time);
    }

    public ExpertStoreOptions Options { get; }

    /// <summary>The newest snapshot.</summary>
    public RegistryFile Registry => Volatile.Read(ref current).File;

    /// <summary>Experts of the newest snapshot, sorted by id.</summary>
    public IReadOnlyList<ExpertRecord> Experts => Registry.Experts;

    /// <summary>Bytes of everything in the folder, including unfinished uploads.</summary>
    public long Bytes => Budget.Used;

    internal BlobStore Blobs { get; }

    internal StoreBudget Budget { get; }

    private string Reserve => Path.Combine(folder, "reserve");

    private string Staging => Path.Combine(folder, "staging");

    /// <summary>Opens a folder and deletes what a crash left in it. A folder that does not exist is created by the first upload.</summary>
    /// <param name="trial">The last check of an upload: checks and runs models. Null does so in this process, which a malicious model may end.</param>
    /// <exception cref="EngineException">InvalidCatalog: the registry is broken; Conflict: another process uses the folder; InvalidValue: an option is out of range.</exception>
    public static ExpertStore Open(string folder, ExpertStoreOptions? options = null, ExpertTrial? trial = null, TimeProvider? time = null)
    {
        ExpertStore store = new(Path.GetFullPath(folder), options ?? new(), trial, time ?? TimeProvider.System);
        if (Directory.Exists(folder))
        {
            store.Claim();
        }

        return store;
    }

    /// <exception cref="EngineException">UnknownUpload.</exception>
    public ExpertRecord Get(string id) => Find(id)
        ?? throw new EngineException(EngineError.UnknownUpload, $"There is no uploaded expert '{UploadName.Printable(id)}'.", "id");

    public ExpertRecord? Find(string id) => Volatile.Read(ref current).ById.GetValueOrDefault(id);

    /// <summary>A new path for a file of one request. If a crash leaves the file, opening the folder deletes it.</summary>
    public string TemporaryPath()
    {
        Claim();
        return Path.Combine(Staging, Guid.NewGuid().ToString("N"));
    }

    /// <summary>Begins an upload.</summary>
    public ExpertUpload Begin() => new(this, TemporaryPath(), Budget);

    /// <summary>Removes an expert, and its files unless another expert has the same.</summary>
    /// <exception cref="EngineException">UnknownUpload.</exception>
    public void Remove(string id) => Update(file => file.Without(Get(id).Id));

    /// <summary>Changes the registry atomically; nothing else changes it. Deletes the files of experts that are no longer in it.</summary>
    /// <param name="change">Called while other writers wait.</param>
    public RegistryFile Update(Func<RegistryFile, RegistryFile> change)
    {
        Claim();
        lock (writeLock)
        {
            RegistryFile old = Registry, next = change(old);
            if (next.Experts.Count > Options.MaxExperts)
            {
                throw new EngineException(
                    EngineError.StoreFull, $"There are {old.Experts.Count} experts of at most {Options.MaxExperts} (Experts:MaxExperts); delete one.", "Experts:MaxExperts");
            }

            Write(next, old);
            Volatile.Write(ref current, new(next));
            HashSet<string> named = [.. next.Experts.Select(expert => expert.Content)];
            foreach (ExpertRecord gone in old.Experts.Where(expert => !named.Contains(expert.Content)).DistinctBy(expert => expert.Content))
            {
                content.Discard(gone);
            }

            KeepReserve();
            return next;
        }
    }

    /// <summary>Path of the expert's files, which must not be changed.</summary>
    public string FolderOf(ExpertRecord record) => content.FolderOf(record);

    /// <summary>Reads all files and compares their hashes. Must be called before they are loaded.</summary>
    /// <exception cref="EngineException">DamagedExpert, naming expert and file; UnknownUpload: the expert is deleted at this time.</exception>
    public void Verify(ExpertRecord record)
    {
        string? wrong;
        try
        {
            wrong = content.Damage(record);
        }
        catch (IOException error) when (!Has(record))
        {
            throw Deleted(record, error);
        }

        if (wrong is not null)
        {
            throw Has(record)
                ? new EngineException(EngineError.DamagedExpert, $"Expert '{record.Id}' is damaged: '{wrong}' is not what was uploaded; upload it again.", wrong)
                : Deleted(record);
        }
    }

    /// <summary>Whether the expert is still there with that content.</summary>
    public bool Has(ExpertRecord record) => Find(record.Id)?.Content == record.Content;

    /// <summary>The error for an expert that was deleted while it was used.</summary>
    public static EngineException Deleted(ExpertRecord gone, Exception? inner = null) =>
        new(EngineError.UnknownUpload, $"The uploaded expert '{gone.Id}' has been deleted meanwhile.", "id", inner);

    /// <summary>The number of stored bytes of a blob, from which an upload resumes; null for an unknown blob.</summary>
    public long? BlobOffset(string sha256) => Blobs.Offset(sha256);

    /// <summary>Appends bytes to a blob. When it is complete, its hash is checked. Bytes that arrived before an error are kept.</summary>
    /// <param name="offset">Must equal <see cref="BlobOffset"/>, or 0 for a new blob.</param>
    /// <param name="length">Length of the whole blob in bytes.</param>
    /// <returns>The number of stored bytes.</returns>
    /// <exception cref="EngineException">Conflict: the offset is not the number of stored bytes, or another request writes the blob; UploadTooLarge; StoreFull; InvalidExpert: the blob is complete and has another hash.</exception>
    public Task<long> AppendBlobAsync(string sha256, long offset, long length, Stream bytes, CancellationToken cancellation = default)
    {
        Claim();
        return Blobs.AppendAsync(sha256, offset, length, bytes, cancellation);
    }

    public void Dispose() => claim?.Dispose();

    internal async Task JudgeAsync(string staged, ExpertKind kind, CancellationToken cancellation)
    {
        if (kind == ExpertKind.Patch)
        {
            PatchCheck.Check(staged, Options);
        }

        await (trial ?? HereAsync)(staged, kind, cancellation).ConfigureAwait(false);
    }

    internal ExpertRecord Commit(ExpertRecord record, string staged, UploadAccounting accounting)
    {
        // Hashes may take long, so they are compared before other writers have to wait. Content never changes: if it is right, it stays right.
        bool isDamaged = Directory.Exists(FolderOf(record)) && content.Damage(record) is not null;
        lock (writeLock)
        {
            ExpertRecord? same = Find(record.Id);
            if (same is not null && same.Content != record.Content)
            {
                throw new EngineException(EngineError.Conflict, $"There is an expert '{record.Id}' with other files; delete it first, or take another id.", "id");
            }

            record = record with { Created = time.GetUtcNow() };
            bool isNew = !Experts.Any(expert => expert.Content == record.Content);
            if (isNew || isDamaged || !Directory.Exists(FolderOf(record)))
            {
                content.Take(record, staged);
            }

            if (isNew)
            {
                accounting.Commit(record.Bytes);
            }
            else if (same is not null)
            {
                return same;
            }

            try
            {
                Update(file => file.With(record));
                return record;
            }
            catch when (isNew)
            {
                content.Discard(record);
                throw;
            }
        }
    }

    /// <summary>Writes the registry. On a full disk, a change that frees space takes the room of the reserve.</summary>
    private void Write(RegistryFile next, RegistryFile old)
    {
        try
        {
            next.Write(folder);
        }
        catch (IOException error) when (DiskFull.Is(error) && (next.Experts.Count < old.Experts.Count || next.Served.Count < old.Served.Count))
        {
            File.Delete(Reserve);
            next.Write(folder);
        }
    }

    private void KeepReserve()
    {
        try
        {
            if (!File.Exists(Reserve))
            {
                File.WriteAllBytes(Reserve, new byte[ReserveBytes]);
            }
        }
        catch (IOException)
        {
            // The disk is still full. The next change tries again.
            File.Delete(Reserve);
        }
    }

    private static Task HereAsync(string staged, ExpertKind kind, CancellationToken cancellation)
    {
        if (kind == ExpertKind.Model)
        {
            ModelCheck.Check(staged);
            ModelProbe.Run(staged);
        }

        return Task.CompletedTask;
    }

    private void Claim()
    {
        lock (writeLock)
        {
            if (claim is not null)
            {
                return;
            }

            Directory.CreateDirectory(Staging);
            FileStream taken = Lock(Path.Combine(folder, "lock"));
            try
            {
                Volatile.Write(ref current, new(RegistryFile.Read(folder)));
                Sweep();
                KeepReserve();
                claim = taken;
            }
            catch
            {
                taken.Dispose();
                throw;
            }
        }
    }

    private FileStream Lock(string path)
    {
        try
        {
            return new(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException error)
        {
            throw new EngineException(EngineError.Conflict, $"{folder} is in use by another process; name another folder with Experts:Folder.", "Experts:Folder", error);
        }
    }

    private void Sweep()
    {
        File.Delete(Durable.Partial(Path.Combine(folder, RegistryFile.FileName)));
        foreach (FileSystemInfo left in new DirectoryInfo(Staging).EnumerateFileSystemInfos().Where(left => left.Name != "blobs"))
        {
            StoredContent.Delete(left);
        }

        content.Sweep(Experts);
        Blobs.Sweep();
    }

    private sealed record Snapshot(RegistryFile File)
    {
        public FrozenDictionary<string, ExpertRecord> ById { get; } = File.Experts.ToFrozenDictionary(expert => expert.Id);
    }
}
