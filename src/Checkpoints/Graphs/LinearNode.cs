using ProxyTune.Checkpoints.Architectures;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>A linear node of a decoder's graph, and which weights of the checkpoint it holds, side by side.</summary>
/// <param name="Output">The value it makes, [batch, positions, Outputs]; tells it from other nodes.</param>
/// <param name="Input">The value it reads, [batch, positions, Inputs].</param>
internal sealed record LinearNode(string Output, string Input, int Inputs, int Outputs, IReadOnlyList<LinearPart> Parts)
{
    /// <summary>Of input and output: float32, float16 or bfloat16.</summary>
    public DataType Type { get; init; } = DataType.Float;

    /// <summary>Input and output are [batch * positions, ...] instead.</summary>
    public bool IsFlat { get; init; }
}

/// <param name="Target">Under Hugging Face's name, such as <c>model.layers.0.self_attn.q_proj.weight</c>.</param>
/// <param name="First">Where its outputs begin among the node's.</param>
/// <param name="Outputs">How many of the node's are its own.</param>
/// <param name="OutputHeads">How its outputs are padded; null where they are no heads.</param>
/// <param name="InputHeads">How its inputs are padded; null where they are no heads.</param>
internal sealed record LinearPart(string Target, int First, int Outputs, HeadPadding? OutputHeads, HeadPadding? InputHeads);
