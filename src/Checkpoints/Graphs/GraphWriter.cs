using System.Globalization;
using System.Runtime.InteropServices;
using global::Onnx;
using Google.Protobuf;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>Appends nodes and weights to an ONNX graph; every method that adds a value returns its name.</summary>
internal sealed class GraphWriter(string name)
{
    /// <summary>The domain of ONNX Runtime's own operators.</summary>
    public const string Contrib = "com.microsoft";

    /// <summary>The producer name of graphs that ProxyTune writes.</summary>
    public const string Producer = "ProxyTune";

    private readonly GraphProto graph = new() { Name = name };
    private readonly List<StringStringEntryProto> notes = [];

    public string Input(string name, TensorProto.Types.DataType type, params object[] dimensions)
    {
        graph.Input.Add(Value(name, type, dimensions));
        return name;
    }

    public void Output(string name, TensorProto.Types.DataType type, params object[] dimensions) =>
        graph.Output.Add(Value(name, type, dimensions));

    /// <summary>Adds a node with one output, which has the node's name.</summary>
    public string Node(string operation, string name, string domain, string[] inputs, params AttributeProto[] attributes) =>
        Node(operation, name, domain, inputs, [name], attributes);

    public string Node(string operation, string name, string domain, string[] inputs, string[] outputs, params AttributeProto[] attributes)
    {
        NodeProto node = new() { OpType = operation, Name = name, Domain = domain };
        node.Input.AddRange(inputs);
        node.Output.AddRange(outputs);
        node.Attribute.AddRange(attributes);
        graph.Node.Add(node);
        return outputs[0];
    }

    /// <summary>Adds a weight that stays in a file beside the graph.</summary>
    public string External(string name, WeightRange range)
    {
        TensorProto tensor = new() { Name = name, DataType = (int)TensorProto.Types.DataType.Float };
        tensor.Dims.AddRange(range.Shape.Select(d => (long)d));
        Locate(tensor, range.File, range.Offset, range.Length);
        graph.Initializer.Add(tensor);
        return name;
    }

    /// <summary>Sets the place of a tensor's data in a file beside the graph.</summary>
    public static void Locate(TensorProto tensor, string file, long offset, long length)
    {
        tensor.DataLocation = TensorProto.Types.DataLocation.External;
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = file });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "offset", Value = offset.ToString(CultureInfo.InvariantCulture) });
        tensor.ExternalData.Add(new StringStringEntryProto { Key = "length", Value = length.ToString(CultureInfo.InvariantCulture) });
    }

    public string Constant(string name, float[] values, params int[] shape) =>
        Constant(name, TensorProto.Types.DataType.Float, MemoryMarshal.AsBytes(values.AsSpan()), shape);

    public string Constant(string name, long value, params int[] shape) => Constant(name, [value], shape);

    public string Constant(string name, long[] values, params int[] shape) =>
        Constant(name, TensorProto.Types.DataType.Int64, MemoryMarshal.AsBytes(values.AsSpan()), shape);

    /// <summary>Adds an entry of the model's metadata.</summary>
    public void Note(string key, string value) => notes.Add(new() { Key = key, Value = value });

    public ModelProto ToModel()
    {
        ModelProto model = new() { IrVersion = 9, ProducerName = Producer, Graph = graph };
        model.MetadataProps.AddRange(notes);
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = "", Version = 18 });
        model.OpsetImport.Add(new OperatorSetIdProto { Domain = Contrib, Version = 1 });
        return model;
    }

    public static AttributeProto Attribute(string name, long value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Int, I = value };

    public static AttributeProto Attribute(string name, float value) => new() { Name = name, Type = AttributeProto.Types.AttributeType.Float, F = value };

    private string Constant(string name, TensorProto.Types.DataType type, ReadOnlySpan<byte> bytes, int[] shape)
    {
        TensorProto tensor = new() { Name = name, DataType = (int)type, RawData = ByteString.CopyFrom(bytes) };
        tensor.Dims.AddRange(shape.Select(d => (long)d));
        graph.Initializer.Add(tensor);
        return name;
    }

    public static ValueInfoProto Value(string name, TensorProto.Types.DataType type, params object[] dimensions)
    {
        TensorShapeProto shape = new();
        shape.Dim.AddRange(dimensions.Select(d => d is int size
            ? new TensorShapeProto.Types.Dimension { DimValue = size }
            : new TensorShapeProto.Types.Dimension { DimParam = (string)d }));
        return new ValueInfoProto { Name = name, Type = new TypeProto { TensorType = new TypeProto.Types.Tensor { ElemType = (int)type, Shape = shape } } };
    }
}

/// <summary>A float32 weight as a range of a file beside the graph.</summary>
internal readonly record struct WeightRange(string File, long Offset, int[] Shape)
{
    public long Length => Shape.Aggregate((long)sizeof(float), (bytes, size) => bytes * size);
}
