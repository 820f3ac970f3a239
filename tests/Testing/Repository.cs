namespace ProxyTune.Testing;

/// <summary>Finds the checkout from the folder of the running test upwards.</summary>
public static class Repository
{
    public static string Root { get; } = Find();

    /// <summary>Folder of the demo family, <c>models/</c> in the checkout.</summary>
    public static string Models => Path.Combine(Root, "models");

    private static string Find()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "ProxyTune.sln")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"No folder above {AppContext.BaseDirectory} contains ProxyTune.sln.");
    }
}
