using Onnx;
using ProxyTune.Decoding.Onnx;
using ProxyTune.Testing;

using static Onnx.TensorProto.Types;

namespace ProxyTune.Decoding.Tests.Onnx;

/// <summary>What of a graph is known, and what is rather not guessed.</summary>
public sealed class LinearNodesTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("linear-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(16)]
    [InlineData(10)]
    public void Find_GraphOfOurs_KnowsEveryLinearWeightOfTheLayers(int headSize)
    {
        TinyModel.Write(folder, new TinyModelOptions { HeadSize = headSize });
        using var checkpoint = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));

        LinearPart[] parts = [.. LinearNodes.Find(Read().Graph).SelectMany(node => node.Parts)];

        Assert.Equal(checkpoint.Tensors.Keys.Where(name => name.Contains("_proj", StringComparison.Ordinal)).Order(), parts.Select(part => part.Target).Order());
        Assert.All(parts.Where(part => part.OutputHeads is not null), part => Assert.Equal(new HeadPadding(headSize, 16), part.OutputHeads));
    }

    [Fact]
    public void Find_GraphOfTheModelBuilder_KnowsPackedAndQuantizedNodes()
    {
        GraphProto graph = new()
        {
            Node =
            {
                Linear("/model/layers.3/attn/qkv_proj/MatMul_Q4", 64, 128),
                new NodeProto { OpType = "GroupQueryAttention", Name = "/model/layers.3/attn/GroupQueryAttention", Attribute = { GraphWriter.Attribute("num_heads", 4L), GraphWriter.Attribute("kv_num_heads", 2L) } },
                Linear("/model/layers.3/attn/o_proj/MatMulNBits", 64, 64),
                Linear("/model/layers.3/mlp/gate_proj/MatMulNBits", 64, 96),
                Linear("/model/layers.3/mlp/up_proj/MatMulNBits", 64, 96),
                Linear("/lm_head/MatMulNBits", 64, 1000),
            },
            Initializer = { new TensorProto { Name = "scales", DataType = (int)DataType.Float } },
        };

        IReadOnlyList<LinearNode> nodes = LinearNodes.Find(graph);

        Assert.Equal(
            [("q_proj", 0, 64), ("k_proj", 64, 32), ("v_proj", 96, 32)],
            nodes[0].Parts.Select(part => (part.Target["model.layers.3.self_attn.".Length..^".weight".Length], part.First, part.Outputs)));
        Assert.Equal(["self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj"], nodes.Skip(1).Select(node => Assert.Single(node.Parts).Target["model.layers.3.".Length..^".weight".Length]));
    }

    [Fact]
    public void Find_NodeThatIsNotCertain_IsNotAmongThem()
    {
        TinyModel.Write(folder);
        ModelProto model = Read();
        NodeProto Named(string name) => model.Graph.Node.Single(node => node.Name == name);
        Named("layers.0.qkv").Attribute.Single(attribute => attribute.Name == "alpha").F = 2;
        Named("layers.0.o").Name = "layers.0.something";
        Named("layers.0.mlp.gate_up").Name = "layers.0.mlp.down";
        model.Graph.Initializer.Single(weight => weight.Name == "layers.1.qkv.weight").DataType = (int)DataType.Float16;

        IReadOnlyList<LinearNode> nodes = LinearNodes.Find(model.Graph);

        Assert.Equal(["layers.1.o", "layers.1.mlp.gate_up", "layers.1.mlp.down"], nodes.Select(node => node.Output));
    }

    private static NodeProto Linear(string name, int inputs, int outputs) => new()
    {
        OpType = "MatMulNBits",
        Name = name,
        Input = { "x", "values", "scales" },
        Output = { name + "/output_0" },
        Attribute = { GraphWriter.Attribute("K", (long)inputs), GraphWriter.Attribute("N", (long)outputs) },
    };

    private ModelProto Read() => ModelProto.Parser.ParseFrom(File.ReadAllBytes(Path.Combine(folder, "model.onnx")));
}
