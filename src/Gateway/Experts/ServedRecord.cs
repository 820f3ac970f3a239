using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Experts;

/// <summary>A model that operators serve at run time.</summary>
/// <param name="Expert">Id of the expert that it was served for.</param>
/// <param name="Entry">As it could stand in catalog.json.</param>
/// <param name="Since">When it was served.</param>
/// <param name="Weights">Hash of the weights of each model folder that it patches: served again after a start only on the same.</param>
/// <param name="Ungated">An operator wanted it without an evaluation.</param>
internal sealed record ServedRecord(string Expert, ServedModelEntry Entry, DateTimeOffset Since, IReadOnlyDictionary<string, string> Weights, bool Ungated)
{
    public string Name => Entry.Name!;

    /// <summary>What had the name before a port moved it, for the way back.</summary>
    public ServedRecord? Previous { get; init; }
}
