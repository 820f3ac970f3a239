using global::Onnx;
using Google.Protobuf;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>
/// Reads the structure of a graph without its weights. Weights inside the file become external weights in the same file. Thus all weights are read
/// in one way, and variants of the graph are small.
/// </summary>
internal static class GraphFile
{
    // Smaller tensors, such as shapes, are part of the structure.
    private const int MinWeightBytes = 1 << 10;

    // Field numbers of onnx.proto: ModelProto.graph, GraphProto.initializer, TensorProto.raw_data.
    private const int Graph = 7, Initializer = 5, RawData = 9;

    /// <exception cref="InvalidProtocolBufferException">The file is truncated, or it is not a protobuf.</exception>
    public static ModelProto Read(string path)
    {
        using FileStream file = File.OpenRead(path);
        ModelProto model = ModelProto.Parser.ParseFrom(file);
        file.Position = 0;
        foreach ((TensorProto tensor, long end) in model.Graph.Initializer.Zip(DataEnds(file)).Where(weight => weight.First.RawData.Length >= MinWeightBytes))
        {
            GraphWriter.Locate(tensor, Path.GetFileName(path), end - tensor.RawData.Length, tensor.RawData.Length);
            tensor.RawData = ByteString.Empty;
        }

        return model;
    }

    /// <summary>The position in the file at which the raw data of each initializer end; 0 for an initializer without raw data.</summary>
    private static List<long> DataEnds(FileStream file)
    {
        using CodedInputStream input = new(file, leaveOpen: true);
        List<long> ends = [];
        ForEach(Graph, long.MaxValue, () => ForEach(Initializer, Enter(), () =>
        {
            ends.Add(0);
            ForEach(RawData, Enter(), () =>
            {
                input.SkipLastField();
                ends[^1] = input.Position;
            });
        }));
        return ends;

        long Enter()
        {
            int length = input.ReadLength();
            return input.Position + length;
        }

        void ForEach(int number, long end, Action visit)
        {
            while (input.Position < end && input.ReadTag() is var tag and not 0)
            {
                if (WireFormat.GetTagFieldNumber(tag) == number)
                {
                    visit();
                }
                else
                {
                    input.SkipLastField();
                }
            }
        }
    }
}
