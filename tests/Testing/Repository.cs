namespace ProxyTune.Testing;

/// <summary>Where the checkout is, found from the running test's folder upwards.</summary>
public static class Repository
{
    public static string Root { get; } = Find();

    /// <summary>The demo family, <c>models/</c> of the checkout.</summary>
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

        throw new DirectoryNotFoundException($"No ProxyTune.sln above {AppContext.BaseDirectory}.");
    }
}
