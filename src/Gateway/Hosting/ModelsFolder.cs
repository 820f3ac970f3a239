using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Hosting;

/// <summary>Where the models are without a setting: <c>models/</c> of the checkout.</summary>
internal static class ModelsFolder
{
    private const string Name = "models";

    /// <exception cref="EngineException">InvalidCatalog where there is none.</exception>
    public static string Find(string? given, params string[] starts)
    {
        if (!string.IsNullOrWhiteSpace(given))
        {
            return Path.GetFullPath(given);
        }

        foreach (string start in starts)
        {
            for (DirectoryInfo? folder = new(start); folder is not null; folder = folder.Parent)
            {
                string candidate = Path.Combine(folder.FullName, Name);
                if (Directory.Exists(candidate))
                {
                    return candidate;
                }
            }
        }

        throw new EngineException(
            EngineError.InvalidCatalog,
            $"There is no folder '{Name}' in or above {string.Join(" or ", starts)}; name one with --models FOLDER.");
    }
}
