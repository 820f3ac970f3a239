using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Serving;

/// <summary>
/// The patches that entries can name: those of the models folder, each in a folder of its own under patches, and, once the server runs, those
/// that operators uploaded. A name of the models folder comes first.
/// </summary>
internal sealed class PatchStore(string modelsFolder, IUploadedExperts uploads)
{
    public const string FolderName = "patches";

    private readonly string folder = Path.Combine(modelsFolder, FolderName);

    /// <summary>Whether the models folder has a patch of that name.</summary>
    public bool Owns(string name) => IsPatch(Path.Combine(folder, name));

    /// <summary>Finds the patches that an entry names.</summary>
    /// <param name="label">The entry.</param>
    /// <exception cref="EngineException">As of <see cref="EntryLabel.Wrong"/>: there is no patch of a name.</exception>
    public FoundPatches Find(IReadOnlyList<PatchEntry> entries, EntryLabel label) => new([.. entries.Select(entry => Find(entry, label))]);

    public static double Weight(PatchEntry entry) => entry.Weight ?? BoundedWeight.UsualDefault;

    private FoundPatch Find(PatchEntry entry, EntryLabel label)
    {
        string name = entry.Patch!, path = Path.Combine(folder, name);
        return IsPatch(path) ? new(name, Weight(entry), path, null)
            : !label.Source.IsAtStart && uploads.FindPatch(name) is { } upload ? new(name, Weight(entry), upload.Folder, upload)
            : throw label.Wrong($"there is no patch '{name}' in {folder}; there are: {Listing.Of(Names())}.");
    }

    private IEnumerable<string> Names() => Directory.Exists(folder)
        ? Directory.GetDirectories(folder).Where(IsPatch).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)
        : [];

    private static bool IsPatch(string path) => File.Exists(Path.Combine(path, FileNames.AdapterConfig));
}

/// <param name="Upload">Null for a patch of the models folder.</param>
internal sealed record FoundPatch(string Name, double Weight, string Folder, IUploadedExpert? Upload);

/// <summary>The patches of one entry, which are added up.</summary>
internal sealed record FoundPatches(IReadOnlyList<FoundPatch> All)
{
    /// <summary>The hash of the sum, known without reading the patches; null if others than this server can change one of them, so that they must be read.</summary>
    public string? Hash { get; } = All.Any(patch => patch.Upload is null)
        ? null
        : string.Join(" + ", All.Select(patch => FormattableString.Invariant($"{patch.Weight} {patch.Upload!.Content}")).Order(StringComparer.Ordinal));

    /// <exception cref="EngineException">InvalidModelFolder: a patch is broken; DamagedExpert: an upload is not what was uploaded.</exception>
    public PatchSum Read() => new([.. All.Select(patch => new WeightedPatch(Read(patch), patch.Weight))]);

    private static LowRankPatch Read(FoundPatch patch)
    {
        patch.Upload?.Verify();
        return LowRankPatch.Read(patch.Folder, patch.Name);
    }
}
