namespace ProxyTune.Testing;

/// <summary>Real data next to the checkout and not part of it. Tests that use it pass without it.</summary>
public static class SharedData
{
    /// <summary>Environment variable that overrides the folder of the data; REFERENCE_DATA wins over it.</summary>
    public const string Variable = "PROXYTUNE_SHARED_DATA";

    /// <summary>Path of a folder of the data; null if it does not exist.</summary>
    public static string? Folder(string name)
    {
        string root = Environment.GetEnvironmentVariable("REFERENCE_DATA") is { Length: > 0 } reference ? reference
            : Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } set ? set
            : Path.Combine(Repository.Root, "..", "shared", "data");
        string folder = Path.GetFullPath(Path.Combine(root, name));
        return Directory.Exists(folder) ? folder : null;
    }
}
