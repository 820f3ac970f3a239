namespace ProxyTune.Testing.Foreign;

/// <summary>One of the forms in which onnxruntime-genai's model builder, and tools that process its graphs, write a decoder.</summary>
/// <param name="Weights">Form of the linear nodes of the layers.</param>
/// <param name="IsHalf">Whether activations, cache, other weights and scales are float16.</param>
/// <param name="IsPacked">Whether q, k and v share one node, and gate and up another.</param>
/// <param name="Bias">Form of the biases of q, k and v, which Qwen2 has.</param>
public sealed record BuilderForm(BuilderWeights Weights, bool IsHalf = false, bool IsPacked = false, BuilderBias Bias = BuilderBias.None)
{
    public override string ToString() => $"{Weights}{(IsHalf ? " half" : "")}{(IsPacked ? " packed" : "")} bias {Bias}";
}

public enum BuilderWeights
{
    /// <summary>MatMul with weights [in, out].</summary>
    Plain,

    /// <summary>MatMul with weights [out, in] after a Transpose.</summary>
    Transposed,

    /// <summary>FusedMatMul with transB.</summary>
    Fused,

    /// <summary>Gemm with transB between two Reshapes.</summary>
    Gemm,

    /// <summary>MatMulNBits with 8 bits.</summary>
    EightBits,

    /// <summary>MatMulNBits with 4 bits.</summary>
    FourBits,

    /// <summary>MatMul after DequantizeLinear with 4 bits and Transpose.</summary>
    FourBitsDequantized,
}

public enum BuilderBias
{
    None,

    /// <summary>An Add after the node.</summary>
    Add,

    /// <summary>An input of the node.</summary>
    Input,
}
