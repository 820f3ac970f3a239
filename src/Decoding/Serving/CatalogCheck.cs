using System.Text.RegularExpressions;
using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Serving;

/// <summary>What can be wrong with an entry before any model is loaded. Every message names the file and the entry.</summary>
internal sealed partial class CatalogCheck(string file)
{
    /// <summary>Beyond this no method means anything, and sums of weighted logits would leave single precision.</summary>
    private const double MaxWeight = 1000;

    private static readonly string[] ReservedNames = ["method", "alpha", "normalise", "amplification", "mode", "search", "floor", "trace", "size", "context", "amateur", "base"];

    public void Entries(IReadOnlyList<ServedModelEntry> entries)
    {
        for (int i = 0; i < entries.Count; i++)
        {
            if (entries[i]?.Name is not { } name || !PlainName().IsMatch(name))
            {
                throw Wrong($"served_models[{i}]", $"name is '{entries[i]?.Name}'; accepted are letters, digits, '.', '_', '-' and '/'.");
            }

            Entry(entries[i], Label(name));
        }

        Unique("served_models", entries.Select(entry => entry.Name!));
    }

    /// <summary>A weight with its range, each with its usual value where the catalog names none.</summary>
    public BoundedWeight Weight(
        string label, string field, double? given, double[]? range, double usual = BoundedWeight.UsualDefault, double usualMinimum = BoundedWeight.UsualMinimum, double usualMaximum = BoundedWeight.UsualMaximum)
    {
        if (range is not null and not [_, _])
        {
            throw Wrong(label, $"{field}_range has {range.Length} numbers; accepted is [lowest, highest].");
        }

        double lowest = range?[0] ?? usualMinimum;
        double highest = range?[1] ?? usualMaximum;
        if (!(lowest >= -MaxWeight && lowest <= highest && highest <= MaxWeight))
        {
            throw Wrong(label, FormattableString.Invariant($"{field}_range is [{lowest}, {highest}]; accepted are numbers from {-MaxWeight} to {MaxWeight}, the lowest first."));
        }

        BoundedWeight weight = new(given ?? usual, lowest, highest);
        return weight.Contains(weight.Default)
            ? weight
            : throw Wrong(label, FormattableString.Invariant($"{field} is {weight.Default}, outside its own range {lowest} to {highest}."));
    }

    /// <summary>For checks that requests and the catalog share.</summary>
    public SettingsProblem Problem(string label) => new((field, what) => Wrong(label, $"{field} {what}"));

    public static string Label(string servedModel) => $"served model '{servedModel}'";

    public EngineException Wrong(string label, string what) => new(EngineError.InvalidCatalog, $"{file}: {label}: {what}", label);

    /// <summary>A message about an entry that is in no file.</summary>
    public string WithoutFile(string message) => message.Replace($"{file}: ", "", StringComparison.Ordinal);

    private void Entry(ServedModelEntry entry, string label)
    {
        if (entry.Base is null or { Folder: null or "", Remote: null })
        {
            throw Wrong(label, "base is missing; accepted is the name of a model folder, or an object with url, model and tokenizer of a remote one.");
        }

        Patches(entry.Patches ?? [], label);
        for (int i = 0; i < (entry.Experts?.Count ?? 0); i++)
        {
            Expert(entry.Experts![i], label, i);
        }

        Unique(label, entry.Experts?.Select(expert => expert.Name!) ?? []);
    }

    private void Expert(ExpertEntry? expert, string label, int index)
    {
        // The header X-Fusion sets other fields and experts by name, side by side.
        if (expert?.Name is not { } name || !PlainName().IsMatch(name) || ReservedNames.Contains(name))
        {
            throw Wrong(label, $"experts[{index}].name is '{expert?.Name}'; accepted are letters, digits, '.', '_', '-' and '/', and none of {string.Join(", ", ReservedNames)}.");
        }

        if (string.IsNullOrEmpty(expert.Model) || expert.AntiExpert is "")
        {
            throw Wrong(label, $"expert '{name}' needs model, and anti_expert unless it is a portable reward, each the name of a model folder.");
        }

        Patches(expert.Patches ?? [], $"{label}, expert '{name}'");
    }

    private void Patches(IReadOnlyList<PatchEntry> patches, string label)
    {
        for (int i = 0; i < patches.Count; i++)
        {
            if (patches[i]?.Patch is not { } name || !PlainName().IsMatch(name) || Path.GetFileName(name) != name || name.All(letter => letter == '.'))
            {
                throw Wrong(label, $"patches[{i}].patch is '{patches[i]?.Patch}'; accepted is the name of a folder under {PatchStore.FolderName}.");
            }

            if (patches[i].Weight is { } weight && !double.IsFinite(weight))
            {
                throw Wrong(label, FormattableString.Invariant($"patches[{i}].weight is {weight}; accepted is a finite number."));
            }
        }

        Unique(label, patches.Select(patch => patch.Patch!));
    }

    private void Unique(string label, IEnumerable<string> names)
    {
        if (names.GroupBy(name => name).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw Wrong(label, $"the name '{twice.Key}' is given {twice.Count()} times.");
        }
    }

    [GeneratedRegex("^[A-Za-z0-9._/-]+$")]
    private static partial Regex PlainName();
}
