using System.Runtime.InteropServices;
using Google.Protobuf;
using Onnx;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>
/// Model folders as other tools might write them: learned positions, two layers, two query heads on one key/value head. The same weights
/// with GroupQueryAttention or with attention in plain operators, in several dialects.
/// </summary>
internal sealed record TinyDecoder
{
    public const int Vocabulary = 40, Context = 700, Layers = 2, Width = 32;
    private const int Heads = 2, HeadSize = 16;

    private readonly List<NodeProto> nodes = [];
    private readonly List<TensorProto> weights = [];

    public int Seed { get; init; } = 1;

    /// <summary>Past and present concatenated by plain operators.</summary>
    public bool Plain { get; init; }

    /// <summary>Keys, values and logits in float16.</summary>
    public bool Half { get; init; }

    public bool ExternalWeights { get; init; }

    public bool LastRowOnly { get; init; }

    public string Write(string folder)
    {
        Directory.CreateDirectory(folder);
        ModelProto model = new() { IrVersion = 9, Graph = Graph() };
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 18 });
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "com.microsoft", Version = 1 });
        if (ExternalWeights)
        {
            MoveWeights(folder);
        }

        File.WriteAllBytes(Path.Combine(folder, "model.onnx"), model.ToByteArray());
        File.WriteAllText(Path.Combine(folder, "genai_config.json"), $$"""
            {"model": {"type": "llama", "context_length": {{Context}}, "vocab_size": {{Vocabulary}}, "eos_token_id": [3, 5],
              "decoder": {"filename": "model.onnx", "num_hidden_layers": {{Layers}},
                "inputs": {"input_ids": "input_ids", "attention_mask": "attention_mask", "position_ids": "position_ids",
                           "past_key_names": "past.%d.key", "past_value_names": "past.%d.value"},
                "outputs": {"logits": "logits", "present_key_names": "present.%d.key", "present_value_names": "present.%d.value"} } } }
            """);
        return folder;
    }

    private TensorProto.Types.DataType CacheType => Half ? TensorProto.Types.DataType.Float16 : TensorProto.Types.DataType.Float;

    private GraphProto Graph()
    {
        nodes.Clear();
        weights.Clear();
        Random random = new(Seed);
        GraphProto graph = new() { Name = "tiny" };
        graph.Input.Add(Tensor("input_ids", TensorProto.Types.DataType.Int64, "batch", "new"));
        graph.Input.Add(Tensor("attention_mask", TensorProto.Types.DataType.Int64, "batch", "total"));
        graph.Input.Add(Tensor("position_ids", TensorProto.Types.DataType.Int64, "batch", "new"));
        Weight("tokens", random, 1, Vocabulary, Width);
        Weight("positions", random, 1, Context, Width);
        Integers("axis", [1], [1]);
        Integers("scalar.one", [], [1]);
        Node("ReduceSum", ["attention_mask", "axis"], "lengths", ("keepdims", 0));
        Node("Sub", ["lengths", "scalar.one"], "last");
        Node("Cast", ["last"], "seqlens", ("to", (int)TensorProto.Types.DataType.Int32));
        Node("Shape", ["attention_mask"], "mask.shape");
        Node("Gather", ["mask.shape", "scalar.one"], "total.long");
        Node("Cast", ["total.long"], "total", ("to", (int)TensorProto.Types.DataType.Int32));
        Node("Gather", ["tokens", "input_ids"], "x.tokens");
        Node("Gather", ["positions", "position_ids"], "x.positions");
        Node("Add", ["x.tokens", "x.positions"], "x.0");
        for (int layer = 0; layer < Layers; layer++)
        {
            string[] cache = [$"past.{layer}.key", $"past.{layer}.value", $"present.{layer}.key", $"present.{layer}.value"];
            graph.Input.Add(Tensor(cache[0], CacheType, "batch", 1, "past", HeadSize));
            graph.Input.Add(Tensor(cache[1], CacheType, "batch", 1, "past", HeadSize));
            graph.Output.Add(Tensor(cache[2], CacheType, "batch", 1, "present", HeadSize));
            graph.Output.Add(Tensor(cache[3], CacheType, "batch", 1, "present", HeadSize));
            string p = $"layer.{layer}.";
            Weight(p + "wq", random, 0.3, Width, Heads * HeadSize);
            Weight(p + "wk", random, 0.3, Width, HeadSize);
            Weight(p + "wv", random, 0.3, Width, HeadSize);
            Weight(p + "wo", random, 0.3, Heads * HeadSize, Width);
            foreach (string kind in new[] { "q", "k", "v" })
            {
                Node("MatMul", [$"x.{layer}", p + "w" + kind], p + kind);
            }

            if (Plain)
            {
                PlainAttention(p, cache);
            }
            else
            {
                GroupQueryAttention(p, cache);
            }

            Node("MatMul", [p + "attended", p + "wo"], p + "o");
            Node("Add", [$"x.{layer}", p + "o"], p + "sum");
            Node("Tanh", [p + "sum"], $"x.{layer + 1}");
        }

        Head(graph, random);
        graph.Node.Add(nodes);
        graph.Initializer.Add(weights);
        return graph;
    }

    private void GroupQueryAttention(string p, string[] cache)
    {
        string suffix = Half ? ".half" : "";
        if (Half)
        {
            foreach (string kind in new[] { "q", "k", "v" })
            {
                Node("Cast", [p + kind], p + kind + suffix, ("to", (int)CacheType));
            }
        }

        NodeProto node = Node(
            "GroupQueryAttention",
            [p + "q" + suffix, p + "k" + suffix, p + "v" + suffix, cache[0], cache[1], "seqlens", "total"],
            p + "attended" + suffix,
            ("num_heads", Heads),
            ("kv_num_heads", 1));
        node.Domain = "com.microsoft";
        node.Output.Add(cache[2]);
        node.Output.Add(cache[3]);
        if (Half)
        {
            Node("Cast", [p + "attended" + suffix], p + "attended", ("to", (int)TensorProto.Types.DataType.Float));
        }
    }

    private void PlainAttention(string p, string[] cache)
    {
        Integers(p + "split", [4], [0, 0, -1, HeadSize]);
        Integers(p + "join", [3], [0, 0, -1]);
        foreach (string kind in new[] { "q", "k", "v" })
        {
            Node("Reshape", [p + kind, p + "split"], p + kind + ".heads");
            Node("Transpose", [p + kind + ".heads"], p + kind + ".t").Attribute.Add(Ints("perm", 0, 2, 1, 3));
        }

        Node("Concat", [cache[0], p + "k.t"], cache[2], ("axis", 2));
        Node("Concat", [cache[1], p + "v.t"], cache[3], ("axis", 2));
        Node("Transpose", [cache[2]], p + "k.turned").Attribute.Add(Ints("perm", 0, 1, 3, 2));
        Node("MatMul", [p + "q.t", p + "k.turned"], p + "raw");
        Floats(p + "scale", 0.25f);
        Node("Mul", [p + "raw", p + "scale"], p + "scores");

        // Token i sees token j when j <= i. The new tokens are the last ones.
        Integers(p + "zero", [], [0]);
        Integers(p + "two", [], [2]);
        Integers(p + "column", [1], [1]);
        Node("Shape", [cache[0]], p + "past.shape");
        Node("Gather", [p + "past.shape", p + "two"], p + "past.length");
        Node("Range", [p + "zero", "total.long", "scalar.one"], p + "seen");
        Node("Range", [p + "past.length", "total.long", "scalar.one"], p + "new");
        Node("Unsqueeze", [p + "new", p + "column"], p + "new.column");
        Node("LessOrEqual", [p + "seen", p + "new.column"], p + "visible");
        Floats(p + "minus", -1e9f);
        Node("Where", [p + "visible", p + "scores", p + "minus"], p + "masked");
        Node("Softmax", [p + "masked"], p + "shares", ("axis", -1));
        Node("MatMul", [p + "shares", cache[3]], p + "mixed");
        Node("Transpose", [p + "mixed"], p + "mixed.t").Attribute.Add(Ints("perm", 0, 2, 1, 3));
        Node("Reshape", [p + "mixed.t", p + "join"], p + "attended");
    }

    private void Head(GraphProto graph, Random random)
    {
        Weight("head", random, 1, Width, Vocabulary);
        string hidden = $"x.{Layers}";
        if (LastRowOnly)
        {
            Integers("tail.start", [1], [-1]);
            Integers("tail.end", [1], [int.MaxValue]);
            Node("Slice", [hidden, "tail.start", "tail.end", "axis"], "tail");
            hidden = "tail";
        }

        Node("MatMul", [hidden, "head"], Half ? "logits.single" : "logits");
        if (Half)
        {
            Node("Cast", ["logits.single"], "logits", ("to", (int)CacheType));
        }

        graph.Output.Insert(0, Tensor("logits", CacheType, "batch", LastRowOnly ? 1 : "new", Vocabulary));
    }

    private void MoveWeights(string folder)
    {
        using FileStream file = File.Create(Path.Combine(folder, "weights.bin"));
        foreach (TensorProto tensor in weights.Where(w => w.RawData.Length >= 256))
        {
            tensor.DataLocation = TensorProto.Types.DataLocation.External;
            tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = "weights.bin" });
            tensor.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = $"{file.Position}" });
            tensor.ExternalData.Add(new StringStringEntryProto { Key = "length", Value = $"{tensor.RawData.Length}" });
            file.Write(tensor.RawData.Span);
            tensor.RawData = ByteString.Empty;
        }
    }

    private NodeProto Node(string type, string[] inputs, string output, params (string Name, int Value)[] attributes)
    {
        NodeProto node = new() { OpType = type, Name = output };
        node.Input.Add(inputs);
        node.Output.Add(output);
        node.Attribute.Add(attributes.Select(a => new AttributeProto { Name = a.Name, Type = AttributeProto.Types.AttributeType.Int, I = a.Value }));
        nodes.Add(node);
        return node;
    }

    private void Weight(string name, Random random, double scale, params long[] shape)
    {
        float[] values = new float[shape.Aggregate(1L, (a, b) => a * b)];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = (float)(((random.NextDouble() * 2) - 1) * scale);
        }

        Initializer(name, TensorProto.Types.DataType.Float, shape, MemoryMarshal.AsBytes<float>(values));
    }

    private void Floats(string name, float value) => Initializer(name, TensorProto.Types.DataType.Float, [], MemoryMarshal.AsBytes<float>([value]));

    private void Integers(string name, long[] shape, long[] values) =>
        Initializer(name, TensorProto.Types.DataType.Int64, shape, MemoryMarshal.AsBytes<long>(values));

    private void Initializer(string name, TensorProto.Types.DataType type, long[] shape, ReadOnlySpan<byte> data)
    {
        TensorProto tensor = new() { Name = name, DataType = (int)type, RawData = ByteString.CopyFrom(data) };
        tensor.Dims.Add(shape);
        weights.Add(tensor);
    }

    private static AttributeProto Ints(string name, params long[] values)
    {
        AttributeProto attribute = new() { Name = name, Type = AttributeProto.Types.AttributeType.Ints };
        attribute.Ints.Add(values);
        return attribute;
    }

    private static ValueInfoProto Tensor(string name, TensorProto.Types.DataType type, params object[] shape)
    {
        TypeProto.Types.Tensor tensor = new() { ElemType = (int)type, Shape = new() };
        foreach (object dimension in shape)
        {
            tensor.Shape.Dim.Add(dimension is int value
                ? new TensorShapeProto.Types.Dimension { DimValue = value }
                : new TensorShapeProto.Types.Dimension { DimParam = (string)dimension });
        }

        return new() { Name = name, Type = new() { TensorType = tensor } };
    }
}
