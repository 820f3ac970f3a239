using Onnx;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Testing;
using ProxyTune.Testing.Foreign;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Checkpoints.Tests.Graphs;

/// <summary>Tests which linear nodes of a graph are found, and which are refused as ambiguous.</summary>
public sealed class LinearNodesTests : IDisposable
{
    private const string Query = "model.layers.0.self_attn.q_proj.weight", Value = "model.layers.0.self_attn.v_proj.weight", Up = "model.layers.0.mlp.up_proj.weight", Down = "model.layers.0.mlp.down_proj.weight";
    private readonly string folder = Directory.CreateTempSubdirectory("linear-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(16)]
    [InlineData(10)]
    public void Find_ExportedGraph_FindsEveryLinearWeightOfTheLayers(int headSize)
    {
        TinyModel.Write(folder, new TinyModelOptions { HeadSize = headSize });
        using SafetensorsFile checkpoint = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));

        LinearPart[] parts = [.. LinearNodes.Find(Read()).Nodes.SelectMany(node => node.Parts)];

        Assert.Equal(checkpoint.Tensors.Keys.Where(name => name.Contains("_proj", StringComparison.Ordinal)).Order(), parts.Select(part => part.Target).Order());
        Assert.All(parts.Where(part => part.OutputHeads is not null), part => Assert.Equal(HeadLayout.Of(headSize), part.OutputHeads));
    }

    [Fact]
    public void Find_GraphOfTheModelBuilder_FindsPackedAndQuantizedNodes()
    {
        ModelProto model = Builder(new(BuilderWeights.FourBits, IsHalf: true, IsPacked: true, Bias: BuilderBias.Add));

        IReadOnlyList<LinearNode> nodes = LinearNodes.Find(model).Nodes;

        Assert.Equal(["attn/qkv_proj", "attn/o_proj", "mlp/gate_up_proj", "mlp/down_proj"], nodes.Take(4).Select(node => node.Output["/model/layers.0/".Length..^"/MatMul/output_0".Length]));
        Assert.Equal(
            [("q_proj", 0, 64), ("k_proj", 64, 32), ("v_proj", 96, 32)],
            nodes[0].Parts.Select(part => (part.Target["model.layers.0.self_attn.".Length..^".weight".Length], part.First, part.Outputs)));
        Assert.All(nodes, node => Assert.Equal(DataType.Float16, node.Type));
        Assert.Equal(8, nodes.Count);
    }

    /// <summary>Checks only the structure of the graph because the CPU has no kernel for it.</summary>
    [Fact]
    public void Of_GraphOfBfloat16_ComputesTheUpdateInFloat32()
    {
        ModelProto model = Builder(new(BuilderWeights.Plain, IsHalf: true));
        foreach (TensorProto weight in model.Graph.Initializer.Where(weight => weight.DataType == (int)DataType.Float16))
        {
            weight.DataType = (int)DataType.Bfloat16;
        }

        LinearNode node = LinearNodes.Find(model).Nodes[0];
        GraphIndex index = new(LoraSlots.Of(model, [node]).Graph);

        Assert.Equal(DataType.Bfloat16, node.Type);
        NodeProto sum = index.Producer(node.Output)!, rounded = index.Producer(sum.Input[1])!, up = index.Producer(rounded.Input[0])!, down = index.Producer(up.Input[0])!;
        Assert.Equal(("Add", "MatMul"), (sum.OpType, index.Producer(sum.Input[0])!.OpType));
        Assert.Equal(("Cast", (long)DataType.Bfloat16), (rounded.OpType, rounded.Number("to")));
        Assert.Equal(("MatMul", "MatMul"), (up.OpType, down.OpType));
        Assert.Equal(("Cast", (long)DataType.Float, node.Input), (index.Producer(down.Input[0])!.OpType, index.Producer(down.Input[0])!.Number("to"), index.Producer(down.Input[0])!.Input[0]));
    }

    [Fact]
    public void Find_NodesWithoutNames_AreFoundByTheirWeights()
    {
        ModelProto model = Builder(new(BuilderWeights.Transposed));
        foreach ((NodeProto node, int i) in model.Graph.Node.Select((node, i) => (node, i)))
        {
            node.Name = $"node_{i}";
        }

        Assert.Equal(14, LinearNodes.Find(model).Nodes.Count);
    }

    public static TheoryData<string, Action<ModelProto>, string, string> Refused() => new()
    {
        { "no such node", model => Rename(model, "q_proj/MatMul", "something"), Query, "no linear node has its layer and module in its name" },
        { "another module's name", model => Rename(model, "q_proj/MatMul", "linear_attn/q_proj"), Query, "no linear node" },
        { "one of several experts", model => Rename(model, "up_proj/MatMul", "/model/layers.0/mlp/experts.0/up_proj/MatMul"), Up, "no linear node" },
        { "two claims", model => Rename(model, "k_proj/MatMul", "/model/layers.0/attn/v_proj/MatMul_2"), Value, "'/model/layers.0/attn/v_proj/MatMul_2' and '/model/layers.0/attn/v_proj/MatMul' both" },
        { "adapter", model => Rename(model, "q_proj/MatMul", "/model/layers.0/attn/q_proj/lora_A/MatMul"), Query, "no linear node" },
        { "another operator", model => Node(model, "q_proj/MatMul").OpType = "MatMulInteger", Query, "'/model/layers.0/attn/q_proj/MatMul' is MatMulInteger; MatMul, FusedMatMul, Gemm and MatMulNBits" },
        { "another type", model => Weight(model, "q_proj").DataType = (int)DataType.Double, Query, "weights of type Double; Float, Float16 and Bfloat16" },
        { "not a matrix", model => Weight(model, "q_proj").Dims.Add(1), Query, "is not a constant of two dimensions" },
        { "not constant", model => Node(model, "q_proj/MatMul").Input[1] = "attention_mask", Query, "'attention_mask' is not a constant" },
        { "scaled", model => Node(model, "q_proj/MatMul").Attribute.Add(GraphWriter.Attribute("alpha", 2f)), Query, "has alpha 2" },
        { "turned", model => Node(model, "q_proj/MatMul").Attribute.Add(GraphWriter.Attribute("transA", 1L)), Query, "has transA 1" },
        { "heads and a gate", model => Weight(model, "q_proj").Dims[1] = 128, Query, "has 128 outputs; heads (4 of 16) make 64" },
        { "no attention", model => model.Graph.Node.Where(node => node.OpType == "GroupQueryAttention").ToList().ForEach(node => node.OpType = "Attention"), Query, "attention without GroupQueryAttention" },
        { "attention of two kinds", model => Set(Attention(model), "num_heads", 8), Query, "several kinds: '/model/layers.0/attn/GroupQueryAttention' has 8 heads" },
        { "open head size", model => model.Graph.Input.Where(input => input.Name.StartsWith("past", StringComparison.Ordinal)).ToList().ForEach(input => input.Type.TensorType.Shape.Dim[3].DimParam = "size"), Query, "of size 0" },
        { "padded heads", model => model.Graph.Node.SelectMany(node => node.Attribute).Where(attribute => attribute.Name == "scale").ToList().ForEach(attribute => attribute.F = 1 / MathF.Sqrt(12)), Query, "scale belongs to heads of size 12, but they have size 16: the padding of 'onnxruntime-genai'" },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void Find_AmbiguousNode_IsRefusedWithTheReason(string what, Action<ModelProto> change, string target, string reason)
    {
        ModelProto model = Builder(new(BuilderWeights.Plain));
        Assert.Null(LinearNodes.Find(model).Refusal(target));
        change(model);

        LinearLayout layout = LinearNodes.Find(model);

        Assert.True(layout.Refusal(target)?.Contains(reason, StringComparison.Ordinal), $"{what}: {layout.Refusal(target)}");
        Assert.DoesNotContain(layout.Nodes.SelectMany(node => node.Parts), part => part.Target == target);
        Assert.Null(layout.Refusal(Down));
    }

    [Fact]
    public void Find_PackedGateAndUpOfOddSize_IsRefused()
    {
        ModelProto model = Builder(new(BuilderWeights.Plain, IsPacked: true));
        Weight(model, "gate_up_proj").Dims[1] = 97;
        Assert.Contains("97 outputs, which is not a multiple of its 2 weights", LinearNodes.Find(model).Refusal(Up), StringComparison.Ordinal);
    }

    [Fact]
    public void Find_ScalesOfAnotherType_AreRefused()
    {
        ModelProto model = Builder(new(BuilderWeights.FourBits));
        model.Graph.Initializer.Single(weight => weight.Name == "model.layers.0.attn.q_proj.MatMul.weight_scales").DataType = (int)DataType.Double;
        Assert.Contains("'/model/layers.0/attn/q_proj/MatMul_Q4' has scales of type Double", LinearNodes.Find(model).Refusal(Query), StringComparison.Ordinal);
    }

    private static NodeProto Node(ModelProto model, string end) => model.Graph.Node.First(node => node.Name.EndsWith(end, StringComparison.Ordinal));

    private static NodeProto Attention(ModelProto model) => model.Graph.Node.First(node => node.OpType == "GroupQueryAttention");

    private static TensorProto Weight(ModelProto model, string module) => model.Graph.Initializer.First(weight => weight.Name.Contains($".{module}.", StringComparison.Ordinal));

    private static void Set(NodeProto node, string attribute, long value) => node.Attribute.Single(a => a.Name == attribute).I = value;

    private static void Rename(ModelProto model, string end, string name)
    {
        NodeProto node = Node(model, end);
        TensorProto weight = model.Graph.Initializer.Single(weight => weight.Name == node.Input[1]);
        node.Name = name;
        node.Input[1] = weight.Name = "renamed";
    }

    private ModelProto Builder(BuilderForm form)
    {
        TinyModel.WriteCheckpoint(folder, new() { Tied = false });
        BuilderModel.Write(form, folder, folder);
        return Read();
    }

    private ModelProto Read() => ModelProto.Parser.ParseFrom(File.ReadAllBytes(Path.Combine(folder, "model.onnx")));
}
