using ProxyTune.Checkpoints.Architectures;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>A linear node of a decoder's graph.</summary>
/// <param name="Output">The name of the value that the node produces, [batch, positions, Outputs]. It identifies the node.</param>
/// <param name="Input">The name of the value that the node reads, [batch, positions, Inputs].</param>
/// <param name="Inputs">The number of input dimensions.</param>
/// <param name="Outputs">The number of output dimensions.</param>
/// <param name="Parts">The weights of the checkpoint that the node holds, side by side.</param>
internal sealed record LinearNode(string Output, string Input, int Inputs, int Outputs, IReadOnlyList<LinearPart> Parts)
{
    /// <summary>The type of input and output: float32, float16 or bfloat16.</summary>
    public DataType Type { get; init; } = DataType.Float;

    /// <summary>True if input and output are [batch * positions, ...].</summary>
    public bool IsFlat { get; init; }
}

/// <summary>One weight of the checkpoint inside a linear node.</summary>
/// <param name="Target">Hugging Face's name of the weight, such as <c>model.layers.0.self_attn.q_proj.weight</c>.</param>
/// <param name="First">The index of its first output among the node's outputs.</param>
/// <param name="Outputs">The number of its outputs.</param>
/// <param name="OutputHeads">The places of its outputs; null if they are not heads.</param>
/// <param name="InputHeads">The places of its inputs; null if they are not heads.</param>
internal sealed record LinearPart(string Target, int First, int Outputs, HeadLayout? OutputHeads, HeadLayout? InputHeads);
