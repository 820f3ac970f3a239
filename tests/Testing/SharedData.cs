namespace ProxyTune.Testing;

/// <summary>Real data beside the checkout, which is not part of it; tests that use it pass without it.</summary>
public static class SharedData
{
    /// <summary>Overrides where it is looked for.</summary>
    public const string Variable = "PROXYTUNE_SHARED_DATA";

    /// <summary>A folder of it, or null when it is not there.</summary>
    public static string? Folder(string name)
    {
        string root = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } set
            ? set
            : Path.Combine(Repository.Root, "..", "shared", "data");
        string folder = Path.GetFullPath(Path.Combine(root, name));
        return Directory.Exists(folder) ? folder : null;
    }
}
