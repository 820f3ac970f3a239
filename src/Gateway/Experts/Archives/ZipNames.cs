using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>Maps entries to file names without a path. One folder around all files is dropped; other folders are refused.</summary>
internal static class ZipNames
{
    // macOS adds this folder.
    private const string MacFolder = "__MACOSX/";

    /// <exception cref="EngineException">InvalidExpert, naming the entry.</exception>
    public static IEnumerable<(string Name, ZipEntry Entry)> Flat(IReadOnlyList<ZipEntry> entries)
    {
        foreach (ZipEntry entry in entries)
        {
            CheckPath(entry.Name);
        }

        ZipEntry[] files = [.. entries.Where(entry => !entry.IsFolder && !entry.Name.StartsWith(MacFolder, StringComparison.Ordinal))];
        string top = files.Length > 0 ? Folder(files[0].Name) : "";
        return files.Select(entry => Folder(entry.Name) == top && top.IndexOf('/') == top.LastIndexOf('/')
            ? (entry.Name[top.Length..], entry)
            : throw UploadName.Refused(entry.Name, "is deeper than other files; accepted are files without a folder, or all files in one folder."));
    }

    private static void CheckPath(string name)
    {
        string? wrong = name.Any(char.IsControl) ? "has a control character in its name"
            : name.Contains('\\') ? "has a backslash in its name"
            : name.StartsWith('/') ? "has an absolute path"
            : name.Contains(':') ? "has a drive letter or colon in its path"
            : name.TrimEnd('/').Split('/').Any(part => part is "" or "." or "..") ? "has '..', '.' or an empty part in its path"
            : null;
        if (wrong is not null)
        {
            throw UploadName.Refused(name, $"{wrong}; accepted are plain names.");
        }
    }

    private static string Folder(string name) => name[..(name.LastIndexOf('/') + 1)];
}
