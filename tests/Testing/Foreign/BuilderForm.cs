namespace ProxyTune.Testing.Foreign;

/// <summary>Ways in which onnxruntime-genai's model builder, and tools that work on its graphs, write one decoder.</summary>
/// <param name="Weights">Of the linear nodes of the layers.</param>
/// <param name="IsHalf">Activations, cache, other weights and scales in float16.</param>
/// <param name="IsPacked">q, k, v in one node, and gate, up in another.</param>
/// <param name="Bias">Of q, k and v, as Qwen2 has them.</param>
public sealed record BuilderForm(BuilderWeights Weights, bool IsHalf = false, bool IsPacked = false, BuilderBias Bias = BuilderBias.None)
{
    public override string ToString() => $"{Weights}{(IsHalf ? " half" : "")}{(IsPacked ? " packed" : "")} bias {Bias}";
}

public enum BuilderWeights
{
    /// <summary>MatMul with [in, out].</summary>
    Plain,

    /// <summary>MatMul with [out, in] behind a Transpose.</summary>
    Turned,

    /// <summary>FusedMatMul with transB.</summary>
    Fused,

    /// <summary>Gemm with transB between two Reshapes.</summary>
    Gemm,

    /// <summary>MatMulNBits of 8 bits.</summary>
    EightBits,

    /// <summary>MatMulNBits of 4 bits.</summary>
    FourBits,

    /// <summary>4 bits through DequantizeLinear and Transpose into MatMul.</summary>
    FourBitsDequantized,
}

public enum BuilderBias
{
    None,

    /// <summary>An Add behind the node.</summary>
    Add,

    /// <summary>An input of the node.</summary>
    Input,
}
