using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Gateway.Experts;

/// <summary>The files of the store's experts, in one folder for each content. They never change. The caller allows one writer at a time.</summary>
internal sealed class StoredContent(string root, StoreBudget budget)
{
    /// <summary>Path of the expert's files.</summary>
    public string FolderOf(ExpertRecord record) => Path.Combine(root, record.Content);

    /// <summary>The first file that is missing, additional or not what was uploaded; null if all files are right.</summary>
    public string? Damage(ExpertRecord record)
    {
        string folder = FolderOf(record);
        string[] there = Directory.Exists(folder) ? [.. Directory.EnumerateFileSystemEntries(folder).Select(file => Path.GetFileName(file))] : [];
        return there.Except(record.Files.Keys).Concat(record.Files.Keys.Except(there)).FirstOrDefault()
            ?? record.Files.FirstOrDefault(file => ContentHash.OfFile(Path.Combine(folder, file.Key)) != file.Value).Key
            ?? (ContentHash.Of(record.Files) == record.Content ? null : RegistryFile.FileName);
    }

    /// <summary>Moves a folder with the expert's files here, in place of damaged ones.</summary>
    public void Take(ExpertRecord record, string staged)
    {
        Delete(new DirectoryInfo(FolderOf(record)));
        Durable.Move(staged, FolderOf(record));
    }

    /// <summary>Deletes files that no expert has any more.</summary>
    public void Discard(ExpertRecord gone)
    {
        try
        {
            Delete(new DirectoryInfo(FolderOf(gone)));
            budget.Add(-gone.Bytes);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The registry does not name it any more. Its bytes are freed when the folder is opened again.
        }
    }

    /// <summary>Creates the folder, or deletes what a crash left in it.</summary>
    /// <param name="experts">The experts whose files are kept and counted.</param>
    public void Sweep(IReadOnlyList<ExpertRecord> experts)
    {
        HashSet<string> named = [.. experts.Select(expert => expert.Content)];
        foreach (DirectoryInfo content in Directory.CreateDirectory(root).EnumerateDirectories().Where(content => !named.Contains(content.Name)))
        {
            Delete(content);
        }

        budget.Add(experts.DistinctBy(expert => expert.Content).Sum(expert => expert.Bytes));
    }

    /// <summary>Deletes a file, or a folder with everything in it, if it exists.</summary>
    public static void Delete(FileSystemInfo left)
    {
        if (left is DirectoryInfo { Exists: true } directory)
        {
            directory.Delete(recursive: true);
        }
        else if (left is FileInfo { Exists: true })
        {
            left.Delete();
        }
    }
}
