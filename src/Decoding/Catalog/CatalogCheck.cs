using System.Text.RegularExpressions;

namespace ProxyTune.Decoding.Catalog;

/// <summary>What can be wrong with an entry before any model is loaded. Every message names the file and the entry.</summary>
internal sealed partial class CatalogCheck(string file)
{
    public const string Proxy = "proxy";
    public const string None = "none";

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

    /// <summary>The weight with its range, each with its usual value where the catalog names none.</summary>
    public BoundedWeight Weight(string label, string field, double? given, double[]? range)
    {
        if (range is not null and not [_, _])
        {
            throw Wrong(label, $"{field}_range has {range.Length} numbers; accepted is [lowest, highest].");
        }

        double lowest = range?[0] ?? BoundedWeight.UsualMinimum;
        double highest = range?[1] ?? BoundedWeight.UsualMaximum;
        if (lowest > highest || !double.IsFinite(lowest) || !double.IsFinite(highest))
        {
            throw Wrong(label, FormattableString.Invariant($"{field}_range is [{lowest}, {highest}]; accepted are finite numbers, the lowest first."));
        }

        var weight = new BoundedWeight(given ?? BoundedWeight.UsualDefault, lowest, highest);
        return weight.Contains(weight.Default)
            ? weight
            : throw Wrong(label, FormattableString.Invariant($"{field} is {weight.Default}, outside its own range {lowest} to {highest}."));
    }

    public static string Label(string servedModel) => $"served model '{servedModel}'";

    public EngineException Wrong(string label, string what) => new(EngineError.InvalidCatalog, $"{file}: {label}: {what}", label);

    private void Entry(ServedModelEntry entry, string label)
    {
        if (string.IsNullOrEmpty(entry.Base))
        {
            throw Wrong(label, "base is missing; accepted is the name of a model folder.");
        }

        int experts = entry.Experts?.Count ?? 0;
        switch (entry.Rule)
        {
            case Proxy when experts == 0:
                throw Wrong(label, "rule 'proxy' needs at least one expert.");
            case None when experts > 0:
                throw Wrong(label, "rule 'none' is the base alone and takes no experts.");
            case not (Proxy or None):
                throw Wrong(label, $"rule is '{entry.Rule}'; accepted are '{Proxy}' and '{None}'.");
        }

        for (int i = 0; i < experts; i++)
        {
            Expert(entry.Experts![i], label, i);
        }

        Unique(label, entry.Experts?.Select(expert => expert.Name!) ?? []);
    }

    private void Expert(ExpertEntry? expert, string label, int index)
    {
        // The header X-Fusion sets alpha and experts by name, side by side.
        if (expert?.Name is not { } name || !PlainName().IsMatch(name) || name == "alpha")
        {
            throw Wrong(label, $"experts[{index}].name is '{expert?.Name}'; accepted are letters, digits, '.', '_', '-' and '/', and not 'alpha'.");
        }

        if (string.IsNullOrEmpty(expert.Model) || string.IsNullOrEmpty(expert.AntiExpert))
        {
            throw Wrong(label, $"expert '{name}' needs model and anti_expert, each the name of a model folder.");
        }
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
