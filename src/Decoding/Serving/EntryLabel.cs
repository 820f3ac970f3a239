using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Serving;

/// <summary>Where entries come from, and what follows from that.</summary>
/// <param name="Error">The kind of error that a wrong entry is.</param>
/// <param name="File">Path of the file that holds the entries; null for an entry in a request.</param>
/// <param name="IsAtStart">
/// Whether no answer runs yet. Then patches that cannot run as rows are merged into a model of their own, which takes too much time and memory
/// beside running answers. Uploads are served only later: the models folder must be complete without them.
/// </param>
internal sealed record EntrySource(EngineError Error, string? File, bool IsAtStart)
{
    /// <summary>An entry that an operator serves while the server runs.</summary>
    public static EntrySource Request { get; } = new(EngineError.InvalidValue, null, IsAtStart: false);

    /// <summary>Entries of catalog.json, read at the start.</summary>
    public static EntrySource Catalog(string file) => new(EngineError.InvalidCatalog, file, IsAtStart: true);

    /// <summary>How messages name a served model of this source.</summary>
    public EntryLabel Label(string servedModel) => new(this, $"served model '{servedModel}'");
}

/// <summary>How messages name an entry, or an expert inside it. Makes the errors of wrong entries, which name the file too if there is one.</summary>
internal sealed record EntryLabel(EntrySource Source, string Name)
{
    /// <summary>For checks that requests and entries share.</summary>
    public SettingsProblem Problem => new((setting, what) => Wrong($"{setting} {what}"));

    public EntryLabel Expert(string? name) => this with { Name = $"{Name}, expert '{name}'" };

    public EngineException Wrong(string what) => new(Source.Error, Source.File is null ? $"{Name}: {what}" : $"{Source.File}: {Name}: {what}", Name);

    public override string ToString() => Name;
}
