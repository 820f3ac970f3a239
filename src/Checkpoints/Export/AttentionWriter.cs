using global::Onnx;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;
using static Onnx.TensorProto.Types;
using static ProxyTune.Checkpoints.Graphs.GraphWriter;

namespace ProxyTune.Checkpoints.Export;

/// <summary>Writes the attention of each layer: norms of queries and keys, and GroupQueryAttention with its rotary tables and its past.</summary>
internal sealed class AttentionWriter
{
    private readonly GraphWriter graph;
    private readonly DecoderSpec spec;
    private readonly int headSize;
    private readonly string[] lengths;
    private readonly string[] rope;
    private readonly string[] windowRope;
    private string[]? shapes;

    /// <param name="headSize">The head size of the graph.</param>
    /// <param name="lengths">The inputs of GroupQueryAttention for the lengths of the rows.</param>
    public AttentionWriter(GraphWriter graph, DecoderSpec spec, int headSize, string[] lengths)
    {
        (this.graph, this.spec, this.headSize, this.lengths) = (graph, spec, headSize, lengths);
        rope = RotaryCaches(spec.Rope, "");
        windowRope = spec.WindowRope is { } other ? RotaryCaches(other, "_window") : rope;

        // The positions choose the rows of the tables, so they choose between the two tables of LongRoPE.
        if (spec.LongRope is not null)
        {
            rope = windowRope = [.. rope, graph.Input("position_ids", DataType.Int64, "batch_size", "sequence_length")];
        }
    }

    /// <summary>Normalises queries and keys.</summary>
    /// <returns>Queries, keys and values.</returns>
    public string[] Normalised(int layer, string qkv, string queryNorm, string keyNorm, AttributeProto[] norm)
    {
        string name = $"layers.{layer}";
        shapes ??=
        [
            graph.Constant("qkv_sizes", [spec.Heads * headSize, spec.KeyValueHeads * headSize, spec.KeyValueHeads * headSize], 3),
            graph.Constant("query_heads", [0, 0, spec.Heads, headSize], 4),
            graph.Constant("key_heads", [0, 0, spec.KeyValueHeads, headSize], 4),
            graph.Constant("all_query_heads", [0, 0, spec.Heads * headSize], 3),
            graph.Constant("all_key_heads", [0, 0, spec.KeyValueHeads * headSize], 3),
        ];
        string[] parts = [$"{name}.queries", $"{name}.keys", $"{name}.values"];
        graph.Node("Split", $"{name}.qkv_split", "", [qkv, shapes[0]], parts, Attribute("axis", -1));
        return [Normalised(parts[0], queryNorm, norm, shapes[1], shapes[3]), Normalised(parts[1], keyNorm, norm, shapes[2], shapes[4]), parts[2]];
    }

    /// <param name="projected">Queries, keys and values; or all of them packed, and two empty names.</param>
    public string Attend(int layer, string[] projected)
    {
        string name = $"layers.{layer}.attention";
        object[] cache = ["batch_size", spec.KeyValueHeads, "past_sequence_length", headSize];
        string pastKey = graph.Input($"past_key_values.{layer}.key", DataType.Float, cache);
        string pastValue = graph.Input($"past_key_values.{layer}.value", DataType.Float, cache);
        string[] outputs = [name, $"present.{layer}.key", $"present.{layer}.value"];
        LayerAttention own = spec.AttentionOf(layer);
        string[] tables = !own.HasRope ? [] : own.Window is null ? rope : windowRope;
        graph.Node("GroupQueryAttention", name, Contrib, [.. projected, pastKey, pastValue, .. lengths, .. tables], outputs, [.. Attributes(own)]);
        cache[2] = "total_sequence_length";
        graph.Output(outputs[1], DataType.Float, cache);
        graph.Output(outputs[2], DataType.Float, cache);
        return name;
    }

    private IEnumerable<AttributeProto> Attributes(LayerAttention own)
    {
        yield return Attribute("num_heads", spec.Heads);
        yield return Attribute("kv_num_heads", spec.KeyValueHeads);
        yield return Attribute("do_rotary", own.HasRope ? 1 : 0);
        yield return Attribute("rotary_interleaved", 0);
        yield return Attribute("scale", (float)(spec.AttentionScale ?? (1 / Math.Sqrt(spec.HeadSize))));
        if (own.Window is { } window)
        {
            yield return Attribute("local_window_size", window);
        }

        if (spec.AttentionSoftCap is { } cap)
        {
            yield return Attribute("softcap", (float)cap);
        }
    }

    private string Normalised(string name, string weight, AttributeProto[] norm, string heads, string allHeads)
    {
        string input = spec.HeadNorm == HeadNorm.EachHead ? graph.Node("Reshape", $"{name}.heads", "", [name, heads]) : name;
        string normal = graph.Node("SimplifiedLayerNormalization", $"{name}.norm", "", [input, weight], norm);
        return spec.HeadNorm == HeadNorm.EachHead ? graph.Node("Reshape", $"{name}.all_heads", "", [normal, allHeads]) : normal;
    }

    private string[] RotaryCaches(RopeSpec kind, string suffix)
    {
        int half = HeadLayout.TableSize(spec) / 2;
        (float[] cos, float[] sin) = RotaryTable.Of(kind, spec, 2 * half);
        int[] shape = [cos.Length / half, half];
        return [graph.Constant($"cos_cache{suffix}", cos, shape), graph.Constant($"sin_cache{suffix}", sin, shape)];
    }
}
