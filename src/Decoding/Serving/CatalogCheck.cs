using System.Text.RegularExpressions;

namespace ProxyTune.Decoding.Serving;

/// <summary>Checks what can be wrong with an entry before any model is loaded. Every message names the entry, and its file if it has one.</summary>
internal static partial class CatalogCheck
{
    /// <summary>Larger weights make no sense in any method, and sums of weighted logits could overflow single precision.</summary>
    private const double MaxWeight = 1000;

    // The names of deltas and of the base in a trace, and of the fields that stand beside experts in the short form of a fusion.
    private static readonly string[] ReservedNames = [.. FusionTable.ShortNames, "size", "context", "amateur", "base"];

    public static void Entries(EntrySource source, IReadOnlyList<ServedModelEntry> entries)
    {
        for (int i = 0; i < entries.Count; i++)
        {
            if (entries[i]?.Name is not { } name || !PlainName().IsMatch(name))
            {
                throw new EntryLabel(source, $"served_models[{i}]").Wrong($"name is '{entries[i]?.Name}'; accepted are letters, digits, '.', '_', '-' and '/'.");
            }

            Entry(entries[i], source.Label(name));
        }

        Unique(new(source, "served_models"), entries.Select(entry => entry.Name!));
    }

    /// <summary>A weight with its range. A usual value replaces each that the entry does not give.</summary>
    public static BoundedWeight Weight(
        EntryLabel label, string field, double? given, double[]? range, double usual = BoundedWeight.UsualDefault, double usualMinimum = BoundedWeight.UsualMinimum, double usualMaximum = BoundedWeight.UsualMaximum)
    {
        if (range is not null and not [_, _])
        {
            throw label.Wrong($"{field}_range has {range.Length} numbers; accepted is [lowest, highest].");
        }

        double lowest = range?[0] ?? usualMinimum;
        double highest = range?[1] ?? usualMaximum;
        if (!(lowest >= -MaxWeight && lowest <= highest && highest <= MaxWeight))
        {
            throw label.Wrong(FormattableString.Invariant($"{field}_range is [{lowest}, {highest}]; accepted are numbers from {-MaxWeight} to {MaxWeight}, the lowest first."));
        }

        BoundedWeight weight = new(given ?? usual, lowest, highest);
        return weight.Contains(weight.Default)
            ? weight
            : throw label.Wrong(FormattableString.Invariant($"{field} is {weight.Default}, outside its own range {lowest} to {highest}."));
    }

    private static void Entry(ServedModelEntry entry, EntryLabel label)
    {
        if (entry.Base is null or { Folder: null or "", Remote: null })
        {
            throw label.Wrong("base is missing; accepted is the name of a model folder, or an object with url, model and tokenizer of a remote one.");
        }

        Patches(entry.Patches ?? [], label);
        for (int i = 0; i < (entry.Experts?.Count ?? 0); i++)
        {
            Expert(entry.Experts![i], label, i);
        }

        Unique(label, entry.Experts?.Select(expert => expert.Name!) ?? []);
    }

    private static void Expert(ExpertEntry? expert, EntryLabel label, int index)
    {
        if (expert?.Name is not { } name || !PlainName().IsMatch(name) || ReservedNames.Contains(name))
        {
            throw label.Wrong($"experts[{index}].name is '{expert?.Name}'; accepted are letters, digits, '.', '_', '-' and '/', and none of {string.Join(", ", ReservedNames)}.");
        }

        if (string.IsNullOrEmpty(expert.Model) || expert.AntiExpert is "")
        {
            throw label.Wrong($"expert '{name}' needs model, and anti_expert unless it is a portable reward, each the name of a model folder.");
        }

        Patches(expert.Patches ?? [], label.Expert(name));
    }

    private static void Patches(IReadOnlyList<PatchEntry> patches, EntryLabel label)
    {
        for (int i = 0; i < patches.Count; i++)
        {
            if (patches[i]?.Patch is not { } name || !PlainName().IsMatch(name) || Path.GetFileName(name) != name || name.All(letter => letter == '.'))
            {
                throw label.Wrong($"patches[{i}].patch is '{patches[i]?.Patch}'; accepted is the name of a folder under {PatchStore.FolderName}.");
            }

            if (patches[i].Weight is { } weight && !double.IsFinite(weight))
            {
                throw label.Wrong(FormattableString.Invariant($"patches[{i}].weight is {weight}; accepted is a finite number."));
            }
        }

        Unique(label, patches.Select(patch => patch.Patch!));
    }

    private static void Unique(EntryLabel label, IEnumerable<string> names)
    {
        if (names.GroupBy(name => name).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw label.Wrong($"the name '{twice.Key}' is given {twice.Count()} times.");
        }
    }

    [GeneratedRegex("^[A-Za-z0-9._/-]+$")]
    private static partial Regex PlainName();
}
