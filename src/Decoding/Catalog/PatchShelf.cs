using ProxyTune.Decoding.Patches;

namespace ProxyTune.Decoding.Catalog;

/// <summary>The patches of a models folder, each in a folder of its own under patches; read when an entry needs them.</summary>
internal sealed class PatchShelf(string modelsFolder, CatalogCheck check)
{
    public const string FolderName = "patches";

    private readonly string folder = Path.Combine(modelsFolder, FolderName);

    /// <param name="label">The entry that names the patches, for messages.</param>
    /// <exception cref="EngineException">InvalidCatalog for an unknown name; InvalidModelFolder for a broken patch.</exception>
    public IReadOnlyList<WeightedPatch> Get(IReadOnlyList<PatchEntry> entries, string label) =>
        [.. entries.Select(entry => new WeightedPatch(Read(entry.Patch!, label), entry.Weight ?? BoundedWeight.UsualDefault))];

    private LowRankPatch Read(string name, string label)
    {
        string path = Path.Combine(folder, name);
        return IsPatch(path)
            ? LowRankPatch.Read(path)
            : throw check.Wrong(label, $"there is no patch '{name}' in {folder}; there are: {string.Join(", ", Names())}.");
    }

    private IEnumerable<string> Names() => Directory.Exists(folder)
        ? Directory.GetDirectories(folder).Where(IsPatch).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal).DefaultIfEmpty("none")
        : ["none"];

    private static bool IsPatch(string path) => File.Exists(Path.Combine(path, LowRankPatch.ConfigFile));
}
