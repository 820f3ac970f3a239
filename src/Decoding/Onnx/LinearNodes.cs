using global::Onnx;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Decoding.Onnx;

/// <summary>
/// Finds the linear nodes of a Llama-family decoder by the names that exporters give them: <c>layers.3.qkv</c> and <c>layers.3.mlp.gate_up</c>
/// in our graphs, <c>/model/layers.3/attn/q_proj/MatMul</c> and the like in onnxruntime-genai's. A node whose place, shape or type is not
/// certain is not in the list, rather than guessed.
/// </summary>
internal static class LinearNodes
{
    private static readonly Dictionary<string, string[]> Modules = new()
    {
        ["qkv"] = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
        ["q"] = ["self_attn.q_proj"],
        ["k"] = ["self_attn.k_proj"],
        ["v"] = ["self_attn.v_proj"],
        ["o"] = ["self_attn.o_proj"],
        ["gate_up"] = ["mlp.gate_proj", "mlp.up_proj"],
        ["gate"] = ["mlp.gate_proj"],
        ["up"] = ["mlp.up_proj"],
        ["down"] = ["mlp.down_proj"],
    };

    public static IReadOnlyList<LinearNode> Find(GraphProto graph)
    {
        GraphIndex index = new(graph);
        NodeProto? attention = graph.Node.FirstOrDefault(node => node.OpType == "GroupQueryAttention");
        LinearNode[] found = [.. graph.Node.Select(node => Read(index, node, attention)).OfType<LinearNode>()];

        // What two nodes claim to be, neither is.
        HashSet<string> twice = [.. found.SelectMany(node => node.Parts).CountBy(part => part.Target).Where(count => count.Value > 1).Select(count => count.Key)];
        return [.. found.Where(node => !node.Parts.Any(part => twice.Contains(part.Target)))];
    }

    private static LinearNode? Read(GraphIndex index, NodeProto node, NodeProto? attention)
    {
        if (Shape(index, node) is not { } shape || Place(node.Name) is not { } place)
        {
            return null;
        }

        string[] modules = Modules[place.Module];
        LinearPart[]? parts = place.Module switch
        {
            "qkv" or "q" or "k" or "v" or "o" => attention is null ? null : Attention(place.Layer, modules, shape, attention),
            _ when shape.Outputs % modules.Length != 0 => null,
            _ => [.. modules.Select((module, i) => new LinearPart(LlamaTensors.Of(place.Layer, module), i * shape.Outputs / modules.Length, shape.Outputs / modules.Length, null, null))],
        };
        return parts is null ? null : new(node.Output[0], node.Input[0], shape.Inputs, shape.Outputs, parts);
    }

    private static LinearPart[]? Attention(int layer, string[] modules, (int Inputs, int Outputs) shape, NodeProto attention)
    {
        int queries = (int)Number(attention, "num_heads", 0), keys = (int)Number(attention, "kv_num_heads", 0);
        bool isOutput = modules is ["self_attn.o_proj"];
        int[] heads = isOutput ? [queries] : [.. modules.Select(module => module == "self_attn.q_proj" ? queries : keys)];
        int dimensions = isOutput ? shape.Inputs : shape.Outputs, size = dimensions / Math.Max(1, heads.Sum());
        if (size == 0 || size * heads.Sum() != dimensions)
        {
            return null;
        }

        // Padding does not change the scale, which is that of the model's own size.
        float scale = attention.Attribute.FirstOrDefault(attribute => attribute.Name == "scale")?.F ?? 0;
        int real = scale > 0 ? (int)Math.Round(1 / (scale * (double)scale)) : size;
        HeadPadding padding = real % 2 == 0 && HeadPadding.Of(real) is var padded && padded.Padded == size ? padded : new(size, size);
        int first = 0;
        return
        [
            .. modules.Zip(heads, (module, count) =>
            {
                int outputs = isOutput ? shape.Outputs : count * size, start = first;
                first += outputs;
                return new LinearPart(LlamaTensors.Of(layer, module), start, outputs, isOutput ? null : padding, isOutput ? padding : null);
            }),
        ];
    }

    /// <summary>Null for nodes that are not linear, and for activations that are not float32.</summary>
    private static (int Inputs, int Outputs)? Shape(GraphIndex index, NodeProto node)
    {
        switch (node.OpType)
        {
            case "MatMulNBits" when index.Weight(node.Input[2])?.DataType == (int)DataType.Float:
                return ((int)Number(node, "K", 0), (int)Number(node, "N", 0));
            case "MatMul" or "FusedMatMul" when index.Weight(node.Input[1]) is { DataType: (int)DataType.Float, Dims: [var rows, var columns] }:
                bool isPlain = Number(node, "transA", 0) == 0 && node.Attribute.All(attribute => attribute.Name != "alpha" || attribute.F == 1);
                return !isPlain ? null : Number(node, "transB", 0) == 0 ? ((int)rows, (int)columns) : ((int)columns, (int)rows);
            default:
                return null;
        }
    }

    private static long Number(NodeProto node, string attribute, long otherwise) =>
        node.Attribute.FirstOrDefault(a => a.Name == attribute)?.I ?? otherwise;

    /// <summary>The layer's number follows on "layers", the module's name comes later.</summary>
    private static (int Layer, string Module)? Place(string name)
    {
        string[] words = name.Split('.', '/');
        int layers = Array.IndexOf(words, "layers");
        if (layers < 0 || layers + 1 >= words.Length || !int.TryParse(words[layers + 1], out int layer))
        {
            return null;
        }

        string[] modules = [.. words.Skip(layers + 2).Select(word => word.EndsWith("_proj", StringComparison.Ordinal) ? word[..^"_proj".Length] : word).Where(Modules.ContainsKey)];
        return modules is [var module] ? (layer, module) : null;
    }
}
