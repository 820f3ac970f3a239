namespace ProxyTune.Testing;

/// <summary>Files of others with results of other programs. They stand beside the checkout and are no part of it.</summary>
public static class ReferenceData
{
    /// <summary>Environment variable that overrides the folder of the data.</summary>
    public const string Variable = "REFERENCE_DATA";

    /// <summary>What a test says that was skipped.</summary>
    public const string Missing = $"The reference data is missing: it is in ../shared/data beside the checkout, or where {Variable} says.";

    /// <summary>The folder of the data; it may not exist.</summary>
    public static string Root => Path.GetFullPath(Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } set ? set : Path.Combine(Repository.Root, "..", "shared", "data"));

    /// <summary>Files of that name or pattern in a folder of the data, and in the folders in it; empty if it does not exist.</summary>
    public static IReadOnlyList<string> Files(string folder, string pattern, SearchOption option = SearchOption.TopDirectoryOnly)
    {
        string path = Path.Combine(Root, folder);
        return Directory.Exists(path) ? [.. Directory.EnumerateFiles(path, pattern, option).Order(StringComparer.Ordinal)] : [];
    }
}
