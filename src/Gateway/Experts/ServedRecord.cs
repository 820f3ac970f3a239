using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Experts;

/// <summary>A name that an operator serves at run time.</summary>
/// <param name="Expert">Id of the expert that is served.</param>
/// <param name="Entry">An entry as in catalog.json.</param>
/// <param name="Since">When it was served.</param>
/// <param name="Weights">Hash of the weights of each model folder that gets an uploaded patch. After a restart the name is served again only on the same weights.</param>
/// <param name="Ungated">Whether an operator wanted it served without an evaluation.</param>
internal sealed record ServedRecord(string Expert, ServedModelEntry Entry, DateTimeOffset Since, IReadOnlyDictionary<string, string> Weights, bool Ungated)
{
    public string Name => Entry.Name!;

    /// <summary>What had the name before a port moved it; a rollback serves it again.</summary>
    public ServedRecord? Previous { get; init; }
}
