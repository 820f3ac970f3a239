namespace ProxyTune.Testing.Foreign;

/// <summary>Adds attention to a graph.</summary>
internal abstract class ForeignAttention
{
    /// <returns>Name of the result, [batch, sequence, heads * head size]. The present keys and values become outputs of the graph.</returns>
    public abstract string Add(string prefix, string q, string k, string v, string pastKey, string pastValue, string presentKey, string presentValue);
}
