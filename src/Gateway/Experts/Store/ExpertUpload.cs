using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>Checks a staged folder further than its bytes, for example by running the model. Throws an <see cref="EngineException"/> if something is wrong.</summary>
public delegate Task ExpertTrial(string folder, ExpertKind kind, CancellationToken cancellation);

/// <summary>One upload: files are added as they arrive, then it is committed. If it is disposed without a commit, its files are deleted. Not thread-safe.</summary>
public sealed class ExpertUpload : IDisposable
{
    private const int LongestMessage = 1000;

    private readonly ExpertStore store;
    private readonly string folder;
    private readonly UploadAccounting accounting;
    private readonly Dictionary<string, string> files = new(StringComparer.OrdinalIgnoreCase);
    private readonly HashSet<string> blobs = [];
    private int count;

    internal ExpertUpload(ExpertStore store, string folder, StoreBudget budget)
    {
        (this.store, this.folder) = (store, folder);
        accounting = new(store.Options.MaxUploadBytes, budget);
        Directory.CreateDirectory(folder);
    }

    /// <summary>Adds a file. If the name ends in .zip, adds the files of the archive.</summary>
    /// <param name="name">File name without a path.</param>
    /// <exception cref="EngineException">InvalidExpert, UploadTooLarge or StoreFull. After that the upload can only be disposed.</exception>
    public Task AddAsync(string name, Stream content, CancellationToken cancellation = default) => AddAsync(name, content, null, cancellation);

    /// <summary>Adds a complete blob under that name, as <see cref="AddAsync(string, Stream, CancellationToken)"/> does. The commit deletes the blob.</summary>
    /// <exception cref="EngineException">As of <see cref="AddAsync(string, Stream, CancellationToken)"/>; UnknownUpload: there is no such blob.</exception>
    public async Task AddBlobAsync(string name, string sha256, CancellationToken cancellation = default)
    {
        FileStream blob = store.Blobs.Open(sha256);
        await using (blob.ConfigureAwait(false))
        {
            await AddAsync(name, blob, sha256, cancellation).ConfigureAwait(false);
        }

        blobs.Add(sha256);
    }

    /// <summary>Checks the files and makes them an expert. If the id already has the same content, returns the existing expert.</summary>
    /// <exception cref="EngineException">InvalidValue (id), InvalidExpert, or Conflict: the id is taken.</exception>
    public async Task<ExpertRecord> CommitAsync(string id, CancellationToken cancellation = default)
    {
        ExpertId.Check(id);
        ExpertKind kind = Kind();
        if (kind == ExpertKind.Patch)
        {
            LeaveOutUnread();
        }

        await JudgeAsync(kind, cancellation).ConfigureAwait(false);
        SortedDictionary<string, string> hashes = new(files, StringComparer.Ordinal);
        long bytes = hashes.Keys.Sum(name => new FileInfo(Path.Combine(folder, name)).Length);
        ExpertRecord record = store.Commit(new(id, kind, ContentHash.Of(hashes), bytes, hashes, default), folder, accounting);
        foreach (string blob in blobs)
        {
            store.Blobs.Remove(blob);
        }

        return record;
    }

    public void Dispose()
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        accounting.Dispose();
    }

    private async Task AddAsync(string name, Stream content, string? sha256, CancellationToken cancellation)
    {
        if (name.EndsWith(UploadName.Archive, StringComparison.OrdinalIgnoreCase))
        {
            await UnpackAsync(name, content, cancellation).ConfigureAwait(false);
        }
        else if (IsWanted(name))
        {
            string path = Path.Combine(folder, name);
            long left = UploadName.IsText(name) ? store.Options.MaxTextBytes : long.MaxValue;
            string hash = await StagedFile.WriteAsync(path, content, Count, cancellation).ConfigureAwait(false);
            files[name] = sha256 is null || sha256 == hash ? hash : throw UploadName.Refused(name, $"has the SHA-256 {hash}, and not that of its blob, {sha256}.");
            FileMagic.Check(path, name);

            void Count(int bytes)
            {
                left = left >= bytes
                    ? left - bytes
                    : throw new EngineException(EngineError.UploadTooLarge, $"'{name}' is larger than {store.Options.MaxTextBytes} bytes (Experts:MaxTextBytes).", name);
                accounting.Take(bytes);
            }
        }
    }

    private bool IsWanted(string name)
    {
        if (++count > store.Options.MaxFiles)
        {
            throw new EngineException(EngineError.UploadTooLarge, $"The upload has more than {store.Options.MaxFiles} files (Experts:MaxFiles).", "Experts:MaxFiles");
        }

        return UploadName.IsKept(name)
            && (files.TryAdd(name, "") ? true : throw UploadName.Refused(name, "occurs twice, or differs from another file in upper and lower case alone."));
    }

    private async Task UnpackAsync(string name, Stream content, CancellationToken cancellation)
    {
        string path = folder + UploadName.Archive, shown = UploadName.Printable(name);
        using UploadAccounting packed = new(store.Options.MaxUploadBytes, store.Budget);
        try
        {
            await StagedFile.WriteAsync(path, content, bytes => packed.Take(bytes), cancellation).ConfigureAwait(false);
            using FileStream archive = File.OpenRead(path);
            foreach ((string file, ZipEntry entry) in ZipNames.Flat(ZipDirectory.Read(archive, shown, store.Options.MaxFiles)))
            {
                using ZipEntryStream unpacked = new(archive, entry, store.Options.MaxRatio);
                await (file.EndsWith(UploadName.Archive, StringComparison.OrdinalIgnoreCase)
                    ? throw UploadName.Refused(file, "is an archive inside an archive; accepted is one .zip with the files.")
                    : AddAsync(file, unpacked, null, cancellation)).ConfigureAwait(false);
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    private void LeaveOutUnread()
    {
        foreach (string name in files.Keys.Where(name => !PatchCheck.IsRead(name)).ToArray())
        {
            if (!UploadName.IsText(name))
            {
                throw UploadName.Refused(name, "is not a file of a patch; accepted are adapter_config.json, adapter_model.safetensors and manifest.json.");
            }

            File.Delete(Path.Combine(folder, name));
            files.Remove(name);
        }
    }

    private async Task JudgeAsync(ExpertKind kind, CancellationToken cancellation)
    {
        try
        {
            await store.JudgeAsync(folder, kind, cancellation).ConfigureAwait(false);
        }
        catch (EngineException error) when (error.Error is EngineError.InvalidModelFolder or EngineError.InvalidExpert or EngineError.InvalidValue)
        {
            // The path of the staged file means nothing to the client.
            throw new EngineException(EngineError.InvalidExpert, UploadName.Printable(error.MessageWithoutFolder, LongestMessage), Path.GetFileName(error.Field), error);
        }
    }

    private ExpertKind Kind() => (files.ContainsKey(FileNames.AdapterConfig), files.ContainsKey(FileNames.GenAiConfig)) switch
    {
        (true, false) => ExpertKind.Patch,
        (false, true) => ExpertKind.Model,
        (false, false) => throw new EngineException(EngineError.InvalidExpert, "The upload has neither adapter_config.json (a patch) nor genai_config.json (a model).", "file"),
        _ => throw new EngineException(EngineError.InvalidExpert, "The upload has adapter_config.json (a patch) and genai_config.json (a model); accepted is one of them.", "file"),
    };
}
