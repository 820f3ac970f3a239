using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Gateway.Experts;

/// <summary>
/// Operators of decoders. None of them contains a graph, reads a file, or comes from a library. There are no loops and branches, so a graph's run
/// takes bounded time.
/// </summary>
internal static class AllowedOperators
{
    private static readonly HashSet<string> Standard =
    [
        "Abs", "Add", "And", "Attention", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Constant", "ConstantOfShape", "Cos", "CumSum", "DequantizeLinear", "Div",
        "Einsum", "Elu", "Equal", "Erf", "Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gelu", "Gemm", "Greater", "GreaterOrEqual",
        "HardSigmoid", "HardSwish", "Identity", "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "MatMul", "MatMulInteger", "Max", "Mean", "Min",
        "Mish", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "QuantizeLinear", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
        "ReduceSumSquare", "Relu", "Reshape", "RMSNormalization", "RotaryEmbedding", "Round", "ScatterElements", "ScatterND", "Shape", "Sigmoid", "Sign",
        "SimplifiedLayerNormalization", "Sin", "Size", "SkipLayerNormalization", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Swish",
        "Tanh", "TensorScatter", "Tile", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
    ];

    private static readonly HashSet<string> Microsoft =
    [
        "BiasGelu", "DynamicQuantizeMatMul", "FastGelu", "FusedMatMul", "GatherBlockQuantized", "Gelu", "GroupQueryAttention", "MatMulInteger16", "MatMulIntegerToFloat",
        "MatMulNBits", "MultiHeadAttention", "QuickGelu", "RotaryEmbedding", "SimplifiedLayerNormalization", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization",
    ];

    public static bool Contain(string domain, string name) => domain switch
    {
        "" or "ai.onnx" => Standard.Contains(name),
        GraphWriter.Contrib => Microsoft.Contains(name),
        _ => false,
    };

    public static bool HasDomain(string domain) => domain is "" or "ai.onnx" or GraphWriter.Contrib;
}
