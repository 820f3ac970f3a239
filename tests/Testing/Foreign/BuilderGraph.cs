using Onnx;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;
using static Onnx.TensorProto.Types;
using static ProxyTune.Checkpoints.Graphs.GraphWriter;

namespace ProxyTune.Testing.Foreign;

/// <summary>Builds the graph of a Llama decoder with the names that onnxruntime-genai's model builder uses.</summary>
internal sealed class BuilderGraph(BuilderForm form, DecoderSpec config, BuilderTensors tensors)
{
    private static readonly string[] Halves = ["gate_proj", "up_proj"];
    private readonly GraphWriter graph = new("main_graph");

    private DataType Type => form.IsHalf ? DataType.Float16 : DataType.Float;

    public ModelProto Build()
    {
        graph.Input("input_ids", DataType.Int64, "batch_size", "sequence_length");
        graph.Input("attention_mask", DataType.Int64, "batch_size", "total_sequence_length");
        string[] shared = [.. Lengths(), .. Caches()];
        string hidden = Node("Gather", "/model/embed_tokens/Gather", [tensors.Plain("model.embed_tokens.weight", "model.embed_tokens.weight"), "input_ids"]);
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string path = $"/model/layers.{layer}";
            string mixed = Attention(layer, path + "/attn", Norm(path + "/input_layernorm/LayerNorm", layer, "input_layernorm", hidden), shared);
            hidden = Node("Add", path + "/Add", [hidden, Linear(layer, path + "/attn/o_proj", mixed, "self_attn.o_proj")]);
            string normal = Norm(path + "/post_attention_layernorm/LayerNorm", layer, "post_attention_layernorm", hidden);
            hidden = Node("Add", path + "/Add_1", [hidden, FeedForward(layer, path + "/mlp", normal)]);
        }

        string last = Norm("/model/final_norm/LayerNorm", null, "norm", hidden);
        graph.Node("MatMul", "/lm_head/MatMul", "", [last, tensors.Matrix("lm_head.MatMul.weight", ["lm_head.weight"], isTransposed: true)], ["logits"]);
        graph.Output("logits", Type, "batch_size", "sequence_length", config.VocabularySize);
        ModelProto model = graph.ToModel();
        model.Graph.Initializer.Add(tensors.Initializers);
        model.ProducerName = "onnxruntime-genai";

        // Opset 21 introduced blocks of four-bit weights.
        model.OpsetImport[0].Version = 21;
        model.IrVersion = 10;
        return model;
    }

    private string[] Lengths()
    {
        string sums = Node("ReduceSum", "/model/attn_mask_reformat/attn_mask_subgraph/ReduceSum", ["attention_mask", tensors.Integers("axis", 1)], Attribute("keepdims", 0L));
        string last = Node("Sub", "/model/attn_mask_reformat/attn_mask_subgraph/Sub", [sums, tensors.Integers("one", 1)]);
        string shape = Node("Shape", "/model/attn_mask_reformat/attn_mask_subgraph/Shape", ["attention_mask"]);
        string width = Node("Gather", "/model/attn_mask_reformat/attn_mask_subgraph/Gather", [shape, graph.Constant("second", 1)]);
        return
        [
            Node("Cast", "/model/attn_mask_reformat/attn_mask_subgraph/Sub/Cast", [last], Attribute("to", (long)DataType.Int32)),
            Node("Cast", "/model/attn_mask_reformat/attn_mask_subgraph/Gather/Cast", [width], Attribute("to", (long)DataType.Int32)),
        ];
    }

    private string[] Caches()
    {
        (float[]? cos, float[]? sin) = RotaryTable.Of(config, config.HeadSize);
        return [tensors.Floats("cos_cache", cos, config.ContextLength, config.HeadSize / 2), tensors.Floats("sin_cache", sin, config.ContextLength, config.HeadSize / 2)];
    }

    private string Attention(int layer, string path, string input, string[] shared)
    {
        string[] heads = form.IsPacked
            ? [Linear(layer, path + "/qkv_proj", input, "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "", ""]
            : [.. new[] { "q_proj", "k_proj", "v_proj" }.Select(module => Linear(layer, $"{path}/{module}", input, "self_attn." + module))];
        string[] names = [path + "/GroupQueryAttention/output_0", $"present.{layer}.key", $"present.{layer}.value"];
        string[] past = [.. new[] { "key", "value" }.Select(part => graph.Input($"past_key_values.{layer}.{part}", Type, "batch_size", config.KeyValueHeads, "past_sequence_length", config.HeadSize))];
        AttributeProto[] attributes =
        [
            Attribute("num_heads", (long)config.Heads), Attribute("kv_num_heads", (long)config.KeyValueHeads), Attribute("do_rotary", 1L), Attribute("rotary_interleaved", 0L),
            Attribute("scale", (float)(1 / Math.Sqrt(config.HeadSize))),
        ];
        graph.Node("GroupQueryAttention", path + "/GroupQueryAttention", Contrib, [.. heads, .. past, .. shared], names, attributes);
        foreach (string present in names[1..])
        {
            graph.Output(present, Type, "batch_size", config.KeyValueHeads, "total_sequence_length", config.HeadSize);
        }

        return names[0];
    }

    private string FeedForward(int layer, string path, string input)
    {
        string[] halves = [.. Halves.Select(module => $"{path}/{module}/MatMul/output_0")];
        if (form.IsPacked)
        {
            graph.Node("Split", path + "/gate_up_proj/Split", "", [Linear(layer, path + "/gate_up_proj", input, "mlp.gate_proj", "mlp.up_proj")], halves, Attribute("axis", -1L), Attribute("num_outputs", 2L));
        }
        else
        {
            halves = [.. Halves.Select(module => Linear(layer, $"{path}/{module}", input, "mlp." + module))];
        }

        string silu = Node("Mul", path + "/act_fn/Mul", [halves[0], Node("Sigmoid", path + "/act_fn/Sigmoid", [halves[0]])]);
        return Linear(layer, path + "/down_proj", Node("Mul", path + "/Mul", [silu, halves[1]]), "mlp.down_proj");
    }

    private string Linear(int layer, string path, string input, params string[] modules)
    {
        string[] weights = [.. modules.Select(module => DecoderTensors.Of(layer, module))];
        string name = path + "/MatMul", tensor = path[1..].Replace('/', '.') + ".MatMul.weight";
        bool hasBias = form.Bias != BuilderBias.None && weights[0].Contains("self_attn", StringComparison.Ordinal) && !weights[0].Contains("o_proj", StringComparison.Ordinal);
        string bias = hasBias ? tensors.Bias(tensor[..^"weight".Length] + "bias", weights) : "";
        string given = form.Bias == BuilderBias.Input ? bias : "";
        string product = form.Weights switch
        {
            BuilderWeights.Plain => Node("MatMul", name, [input, tensors.Matrix(tensor, weights, isTransposed: true)]),
            BuilderWeights.Transposed => Node("MatMul", name, [input, Transposed(path, tensors.Matrix(tensor, weights, isTransposed: false))]),
            BuilderWeights.Fused => graph.Node("FusedMatMul", name, Contrib, [input, tensors.Matrix(tensor, weights, isTransposed: false)], [name + "/output_0"], Attribute("transB", 1L)),
            BuilderWeights.Gemm => Gemm(path, input, tensors.Matrix(tensor, weights, isTransposed: false), given),
            BuilderWeights.FourBitsDequantized => Node("MatMul", name, [input, Transposed(path, Dequantized(path, tensor, weights))]),
            _ => Quantized(name, input, tensors.Blocks(tensor, weights, Bits), given),
        };
        return hasBias && given.Length == 0 ? Node("Add", path + "/Add", [product, bias]) : product;
    }

    private int Bits => form.Weights == BuilderWeights.EightBits ? 8 : 4;

    private string Transposed(string path, string weight)
    {
        AttributeProto permutation = new() { Name = "perm", Type = AttributeProto.Types.AttributeType.Ints, Ints = { 1, 0 } };
        return Node("Transpose", path + "/MatMul/Transpose", [weight], permutation);
    }

    private string Dequantized(string path, string tensor, string[] weights)
    {
        (string values, string scales) = tensors.Blocks(tensor, weights, Bits);
        return Node("DequantizeLinear", path + "/MatMul/DequantizeLinear", [values, scales], Attribute("block_size", (long)BlockQuantization.BlockSize), Attribute("axis", -1L));
    }

    private string Quantized(string name, string input, (string Values, string Scales) blocks, string bias)
    {
        TensorProto scales = tensors.Initializers.Single(tensor => tensor.Name == blocks.Scales);
        long inputs = name.Contains("down_proj", StringComparison.Ordinal) ? config.IntermediateSize : name.Contains("o_proj", StringComparison.Ordinal) ? config.Heads * config.HeadSize : config.HiddenSize;
        string[] given = bias.Length > 0 ? ["", "", bias] : [];
        return graph.Node(
            "MatMulNBits", $"{name}_Q{Bits}", Contrib, [input, blocks.Values, blocks.Scales, .. given], [name + "/output_0"],
            Attribute("K", inputs), Attribute("N", scales.Dims[0]), Attribute("bits", (long)Bits), Attribute("block_size", (long)BlockQuantization.BlockSize));
    }

    private string Gemm(string path, string input, string weight, string bias)
    {
        TensorProto shape = tensors.Initializers.Single(tensor => tensor.Name == weight);
        string flat = Node("Reshape", path + "/Reshape", [input, tensors.Integers(path + "/flat", -1, shape.Dims[1])]);
        string product = Node("Gemm", path + "/Gemm", bias.Length > 0 ? [flat, weight, bias] : [flat, weight], Attribute("transB", 1L));
        string sizes = Node("Concat", path + "/Concat", [Node("Shape", path + "/Shape", ["input_ids"]), tensors.Integers(path + "/width", shape.Dims[0])], Attribute("axis", 0L));
        return Node("Reshape", path + "/Reshape_1", [product, sizes]);
    }

    private string Norm(string name, int? layer, string part, string input)
    {
        string tensor = layer is { } number ? DecoderTensors.Of(number, part) : $"model.{part}.weight";
        AttributeProto[] attributes = [Attribute("epsilon", (float)config.NormEpsilon), Attribute("axis", -1L), Attribute("stash_type", 1L)];
        return Node("SimplifiedLayerNormalization", name, [input, tensors.Plain(tensor, tensor)], attributes);
    }

    private string Node(string operation, string name, string[] inputs, params AttributeProto[] attributes) =>
        graph.Node(operation, name, "", inputs, [name + "/output_0"], attributes);
}
