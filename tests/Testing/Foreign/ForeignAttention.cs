namespace ProxyTune.Testing.Foreign;

/// <summary>One way to write attention into a graph.</summary>
internal abstract class ForeignAttention
{
    /// <returns>The mixed values, [batch, sequence, heads * head size]; the two presents are outputs of the graph.</returns>
    public abstract string Add(string prefix, string q, string k, string v, string pastKey, string pastValue, string presentKey, string presentValue);
}
