namespace ProxyTune.Checkpoints.Graphs;

/// <summary>The linear nodes of a graph that can be updated, and the reasons why others cannot.</summary>
/// <param name="Nodes">Each node holds one or several weights of the checkpoint. No weight is in two nodes.</param>
/// <param name="Refusals">The reasons by target, such as <c>model.layers.0.self_attn.q_proj.weight</c>. A reason names the node that seems to hold the target.</param>
internal sealed record LinearLayout(IReadOnlyList<LinearNode> Nodes, IReadOnlyDictionary<string, string> Refusals)
{
    private readonly HashSet<string> known = [.. Nodes.SelectMany(node => node.Parts).Select(part => part.Target)];

    /// <returns>Null if a node holds that weight, else the reason why no node does.</returns>
    public string? Refusal(string target) =>
        known.Contains(target) ? null
        : Refusals.TryGetValue(target, out string? refusal) ? refusal
        : "no linear node has its layer and module in its name or in the name of its weight";
}
