using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Serving;

/// <summary>The patches that entries can name: those of a models folder, each in a folder of its own under patches, and those that operators brought.</summary>
internal sealed class PatchStore(string modelsFolder, CatalogCheck check)
{
    public const string FolderName = "patches";

    private readonly string folder = Path.Combine(modelsFolder, FolderName);

    /// <summary>Finds what operators brought; null for an unknown name.</summary>
    public Func<string, UploadedPatch?> Uploaded { get; set; } = _ => null;

    /// <summary>Whether the models folder has a patch of that name.</summary>
    public bool Owns(string name) => IsPatch(Path.Combine(folder, name));

    /// <param name="label">The entry that names the patches, for messages.</param>
    /// <exception cref="EngineException">InvalidCatalog for an unknown name; InvalidModelFolder for a broken patch.</exception>
    public IReadOnlyList<WeightedPatch> Get(IReadOnlyList<PatchEntry> entries, string label) =>
        [.. entries.Select(entry => new WeightedPatch(Read(entry.Patch!, label), Weight(entry)))];

    /// <summary>What a sum of patches is known by without reading them; null where one of them can be changed by others than this server, and must be read.</summary>
    public string? HashOf(IReadOnlyList<PatchEntry> entries)
    {
        string?[] hashes = [.. entries.Select(entry => Uploaded(entry.Patch!) is { } patch ? FormattableString.Invariant($"{Weight(entry)} {patch.Content}") : null)];
        return hashes.Contains(null) ? null : string.Join(" + ", hashes.Order(StringComparer.Ordinal));
    }

    public static double Weight(PatchEntry entry) => entry.Weight ?? BoundedWeight.UsualDefault;

    private LowRankPatch Read(string name, string label)
    {
        if (Uploaded(name) is { } uploaded)
        {
            uploaded.Verify();
            return LowRankPatch.Read(uploaded.Folder, name);
        }

        string path = Path.Combine(folder, name);
        return IsPatch(path)
            ? LowRankPatch.Read(path)
            : throw check.Wrong(label, $"there is no patch '{name}' in {folder}; there are: {Listing.Of(Names())}.");
    }

    private IEnumerable<string> Names() => Directory.Exists(folder)
        ? Directory.GetDirectories(folder).Where(IsPatch).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)
        : [];

    private static bool IsPatch(string path) => File.Exists(Path.Combine(path, LowRankPatch.ConfigFile));
}

/// <param name="Content">SHA-256 of what is in the folder.</param>
/// <param name="Verify">Throws where the folder's content has another hash.</param>
internal sealed record UploadedPatch(string Folder, string Content, Action Verify);
