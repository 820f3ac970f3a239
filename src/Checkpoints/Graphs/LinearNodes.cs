using global::Onnx;
using ProxyTune.Checkpoints.Architectures;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>
/// Finds the linear nodes of a decoder by the exporter's names of nodes and weights: <c>layers.3.qkv</c> and
/// <c>layers.3.mlp.gate_up</c> in ProxyTune's graphs, <c>/model/layers.3/attn/q_proj/MatMul</c> and similar names in onnxruntime-genai's. A node
/// with an uncertain place, shape or type is left out, with a reason that names it.
/// </summary>
internal static class LinearNodes
{
    private static readonly Dictionary<string, string> Folders = new() { ["attn"] = "self_attn", ["self_attn"] = "self_attn", ["attention"] = "self_attn", ["mlp"] = "mlp" };
    private static readonly string[] Endings = ["MatMul", "Gemm", "FusedMatMul", "weight", "qweight", "base_layer"];

    private static readonly Dictionary<string, string[]> Modules = new()
    {
        ["qkv"] = [DecoderTensors.Query, DecoderTensors.Key, DecoderTensors.Value],
        ["fused_qkv"] = [DecoderTensors.QueryKeyValue],
        ["q"] = [DecoderTensors.Query],
        ["k"] = [DecoderTensors.Key],
        ["v"] = [DecoderTensors.Value],
        ["o"] = [DecoderTensors.Output],
        ["gate_up"] = [DecoderTensors.Gate, DecoderTensors.Up],
        ["fused_gate_up"] = [DecoderTensors.GateUp],
        ["gate"] = [DecoderTensors.Gate],
        ["up"] = [DecoderTensors.Up],
        ["down"] = [DecoderTensors.Down],
    };

    public static LinearLayout Find(ModelProto model)
    {
        GraphIndex index = new(model.Graph);
        AttentionHeads? heads = AttentionHeads.Of(model, out string headsRefusal);
        List<(LinearNode Node, string Name)> found = [];
        Dictionary<string, string> refusals = [];
        foreach (NodeProto node in model.Graph.Node.Where(LinearShape.IsLinear))
        {
            if ((Place(node.Name) ?? LinearShape.WeightName(index, node).Select(Place).FirstOrDefault(place => place is not null)) is not { } place)
            {
                continue;
            }

            string[] targets = [.. Modules[place.Module].Select(module => DecoderTensors.Of(place.Layer, module))];
            LinearPart[]? parts = null;
            LinearShape? shape = LinearShape.Of(index, node, out string refusal);
            if (shape is { } known)
            {
                bool isFeedForward = targets[0].Contains(".mlp.", StringComparison.Ordinal);
                refusal = headsRefusal;
                parts = isFeedForward ? FeedForward(targets, known, out refusal) : heads?.Parts(targets, known, out refusal);
            }

            if (parts is null)
            {
                Array.ForEach(targets, target => refusals.TryAdd(target, $"'{node.Name}' {refusal}"));
            }
            else
            {
                found.Add((new(node.Output[0], node.Input[0], shape!.Value.Inputs, shape.Value.Outputs, parts) { Type = shape.Value.Type, IsFlat = shape.Value.IsFlat }, node.Name));
            }
        }

        // Two nodes with the same target are both left out.
        foreach (IGrouping<string, (string Name, string Target)> claims in found.SelectMany(node => node.Node.Parts, (node, part) => (node.Name, part.Target)).GroupBy(claim => claim.Target).Where(claims => claims.Count() > 1))
        {
            refusals[claims.Key] = $"{string.Join(" and ", claims.Select(claim => $"'{claim.Name}'"))} both have its name";
        }

        return new([.. found.Where(node => !node.Node.Parts.Any(part => refusals.ContainsKey(part.Target))).Select(node => node.Node)], refusals);
    }

    private static LinearPart[]? FeedForward(string[] targets, LinearShape shape, out string refusal)
    {
        refusal = $"has {shape.Outputs} outputs, which is not a multiple of its {targets.Length} weights";
        int each = shape.Outputs / targets.Length;
        return each * targets.Length != shape.Outputs ? null : [.. targets.Select((target, i) => new LinearPart(target, i * each, each, null, null))];
    }

    /// <summary>Reads a name of "layers", the layer's number, an optional block, the module, and known endings. Other endings belong to other nodes, such as those of an adapter.</summary>
    private static (int Layer, string Module)? Place(string name)
    {
        string[] words = name.Split('.', '/');
        int layers = Array.IndexOf(words, "layers");
        if (layers < 0 || layers + 2 >= words.Length || !int.TryParse(words[layers + 1], out int layer))
        {
            return null;
        }

        bool hasFolder = Folders.TryGetValue(words[layers + 2], out string? folder);
        string[] rest = words[(layers + (hasFolder ? 3 : 2))..];
        string module = rest.Length == 0 ? "" : rest[0].EndsWith("_proj", StringComparison.Ordinal) ? rest[0][..^"_proj".Length] : rest[0];
        bool isKnown = Modules.TryGetValue(module, out string[]? targets)
            && (!hasFolder || targets[0].StartsWith(folder!, StringComparison.Ordinal))
            && rest[1..].All(word => Endings.Any(ending => word.StartsWith(ending, StringComparison.Ordinal)));
        return isKnown ? (layer, module) : null;
    }
}
