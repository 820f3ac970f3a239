namespace ProxyTune.Checkpoints.Graphs;

/// <summary>Which linear nodes of a graph are known, and why others are not.</summary>
/// <param name="Nodes">Each holds one or several weights of the checkpoint; no weight is held twice.</param>
/// <param name="Refusals">By target, such as <c>model.layers.0.self_attn.q_proj.weight</c>: which node claims to hold it and is not certain to.</param>
internal sealed record LinearLayout(IReadOnlyList<LinearNode> Nodes, IReadOnlyDictionary<string, string> Refusals)
{
    private readonly HashSet<string> known = [.. Nodes.SelectMany(node => node.Parts).Select(part => part.Target)];

    /// <returns>Null where a node is known to hold that weight; else why none is.</returns>
    public string? Refusal(string target) =>
        known.Contains(target) ? null
        : Refusals.TryGetValue(target, out string? refusal) ? refusal
        : "no linear node has its layer and module in its name or in that of its weight";
}
