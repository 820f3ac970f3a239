using global::Onnx;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Checkpoints.Graphs;

/// <summary>The shape of a linear node y = W x, with or without a bias, read from its operator and its weight.</summary>
/// <param name="Type">The type of x and y: float32, float16 or bfloat16.</param>
/// <param name="IsFlat">True if x is [rows * positions, Inputs], false if x is [rows, positions, Inputs].</param>
internal readonly record struct LinearShape(DataType Type, int Inputs, int Outputs, bool IsFlat)
{
    /// <summary>Whether the operator multiplies by a weight. It includes operators that take no slots.</summary>
    public static bool IsLinear(NodeProto node) => node.OpType.Contains("MatMul", StringComparison.Ordinal) || node.OpType == "Gemm";

    /// <summary>The names of the values from the node's input back to the initializer of its weight.</summary>
    public static IEnumerable<string> WeightName(GraphIndex index, NodeProto node)
    {
        for (string? value = node.Input.ElementAtOrDefault(1); value is not null; value = index.Producer(value)?.Input.FirstOrDefault())
        {
            if (!index.IsWeight(value))
            {
                yield break;
            }

            yield return value;
        }
    }

    /// <returns>The shape, or null with a refusal if the node takes no slots.</returns>
    public static LinearShape? Of(GraphIndex index, NodeProto node, out string refusal)
    {
        refusal = "";
        if (node.OpType == "MatMulNBits")
        {
            return OfBlocks(index, node, out refusal);
        }

        if (node.OpType is not ("MatMul" or "FusedMatMul" or "Gemm"))
        {
            refusal = $"is {node.OpType}; MatMul, FusedMatMul, Gemm and MatMulNBits take slots";
        }
        else if (node.Attribute.FirstOrDefault(ChangesProduct) is { } odd)
        {
            refusal = FormattableString.Invariant($"has {odd.Name} {(odd.Type == AttributeProto.Types.AttributeType.Float ? odd.F : odd.I)}, so it does not compute y = W x");
        }
        else if (OfWeight(index, node.Input[1]) is not { } weight)
        {
            refusal = $"has no weight: '{node.Input[1]}' is not a constant of two dimensions";
        }
        else if (!IsActivation(weight.Type))
        {
            refusal = $"has weights of type {weight.Type}; {ActivationTypes} take slots";
        }
        else
        {
            bool isTransposed = node.Number("transB") != 0;
            return new(weight.Type, isTransposed ? weight.Columns : weight.Rows, isTransposed ? weight.Rows : weight.Columns, node.OpType == "Gemm");
        }

        return null;
    }

    private const string ActivationTypes = "Float, Float16 and Bfloat16";

    private static LinearShape? OfBlocks(GraphIndex index, NodeProto node, out string refusal)
    {
        // The scales have the type of the activations.
        DataType type = (DataType)(index.Weight(node.Input.ElementAtOrDefault(2) ?? "")?.DataType ?? 0);
        refusal = $"has scales of type {type}; {ActivationTypes} take slots";
        return IsActivation(type) ? new(type, (int)node.Number("K"), (int)node.Number("N"), false) : null;
    }

    private static bool IsActivation(DataType type) => type is DataType.Float or DataType.Float16 or DataType.Bfloat16;

    private static bool ChangesProduct(AttributeProto attribute) => attribute.Name switch
    {
        "alpha" => attribute.F != 1,
        "transA" or "transBatchA" or "transBatchB" => attribute.I != 0,
        _ => false,
    };

    /// <summary>The type and shape of a weight at the node's input, after transposition, conversion or dequantisation.</summary>
    private static (DataType Type, int Rows, int Columns)? OfWeight(GraphIndex index, string value)
    {
        if ((index.Weight(value) ?? Constant(index.Producer(value))) is { } tensor)
        {
            return tensor.Dims is [var rows, var columns] ? ((DataType)tensor.DataType, (int)rows, (int)columns) : null;
        }

        return index.Producer(value) is { } node && index.IsWeight(value) && OfWeight(index, node.Input[0]) is var (type, first, second)
            ? node.OpType switch
            {
                "Transpose" => (type, second, first),
                "Cast" => ((DataType)node.Number("to"), first, second),
                "DequantizeLinear" when index.Weight(node.Input[1]) is { } scale => ((DataType)scale.DataType, first, second),
                _ => null,
            }
            : null;
    }

    private static TensorProto? Constant(NodeProto? node) =>
        node is { OpType: "Constant" } ? node.Attribute.FirstOrDefault(attribute => attribute.Name == "value")?.T : null;
}
