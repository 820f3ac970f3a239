using Google.Protobuf;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// What ONNX Runtime does not tell of a graph: which operators it has and which files hold its weights. Reads the protobuf fields that
/// matter and skips the rest, so that weights are not loaded twice.
/// </summary>
internal sealed class GraphContents
{
    // Field numbers of onnx.proto: ModelProto.graph, GraphProto.node and .initializer, NodeProto.op_type, TensorProto.external_data,
    // StringStringEntryProto.key and .value.
    private const int Graph = 7, Node = 1, Initializer = 5, OperatorType = 4, ExternalData = 13, Key = 1, Value = 2;

    public Dictionary<string, int> Operators { get; } = [];

    /// <summary>External weight files, by name relative to the graph's folder, and how many bytes the graph expects of each at least.</summary>
    public SortedDictionary<string, long> WeightFiles { get; } = new(StringComparer.Ordinal);

    /// <exception cref="InvalidProtocolBufferException">The file is truncated or no protobuf.</exception>
    public static GraphContents Read(string path)
    {
        using FileStream file = File.OpenRead(path);
        using CodedInputStream input = new(file);
        GraphContents contents = new();
        ForEachMessage(input, long.MaxValue, (Graph, graph => ForEachMessage(
            input, graph, (Node, node => contents.ReadNode(input, node)), (Initializer, tensor => contents.ReadTensor(input, tensor)))));
        return contents;
    }

    private void ReadNode(CodedInputStream input, long end)
    {
        while (Next(input, end) is { } field)
        {
            if (field == OperatorType)
            {
                string name = input.ReadString();
                Operators[name] = Operators.GetValueOrDefault(name) + 1;
            }
            else
            {
                input.SkipLastField();
            }
        }
    }

    private void ReadTensor(CodedInputStream input, long end)
    {
        Dictionary<string, string> place = [];
        ForEachMessage(input, end, (ExternalData, entry => ReadEntry(input, entry, place)));
        if (place.TryGetValue("location", out string? file))
        {
            WeightFiles[file] = Math.Max(WeightFiles.GetValueOrDefault(file), Number(place, "offset") + Number(place, "length"));
        }
    }

    private static void ReadEntry(CodedInputStream input, long end, Dictionary<string, string> entries)
    {
        string key = "", value = "";
        while (Next(input, end) is { } field)
        {
            switch (field)
            {
                case Key: key = input.ReadString(); break;
                case Value: value = input.ReadString(); break;
                default: input.SkipLastField(); break;
            }
        }

        entries[key] = value;
    }

    private static long Number(Dictionary<string, string> place, string key) =>
        place.TryGetValue(key, out string? text) && long.TryParse(text, out long value) ? value : 0;

    private static void ForEachMessage(CodedInputStream input, long end, params (int Field, Action<long> Read)[] readers)
    {
        while (Next(input, end) is { } field)
        {
            Action<long>? read = Array.Find(readers, r => r.Field == field).Read;
            if (read is null)
            {
                input.SkipLastField();
            }
            else
            {
                int length = input.ReadLength();
                read(input.Position + length);
            }
        }
    }

    private static int? Next(CodedInputStream input, long end) =>
        input.Position < end && input.ReadTag() is var tag and not 0 ? WireFormat.GetTagFieldNumber(tag) : null;
}
