using Onnx;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Decoding.Models;

/// <summary>The largest accepted differences of a probe's logits from their reference, divided by max(1, the largest logit's magnitude).</summary>
internal static class ProbeTolerance
{
    /// <summary>For float32 sums in another order.</summary>
    public const double Float = 1e-4;

    /// <summary>For sums in another order that are rounded to float16 or bfloat16 at every node.</summary>
    public const double Half = 2e-2;

    /// <summary>For two runs that both round activations to 8 bits before every linear node.</summary>
    public const double Rounded = 5e-2;

    /// <summary>For a run that rounds activations to 8 bits against one that does not. Rounding alone stays below it.</summary>
    public const double Rounding = 0.2;

    private static readonly DataType[] Quantised =
    [
        DataType.Uint8, DataType.Int8, DataType.Uint4, DataType.Int4, DataType.Uint16, DataType.Int16, DataType.Float8E4M3Fn, DataType.Float8E4M3Fnuz, DataType.Float8E5M2,
        DataType.Float8E5M2Fnuz, DataType.Float4E2M1,
    ];

    /// <summary>The tolerance for sessions that do not round activations to 8 bits.</summary>
    public static double Of(ModelProto model) =>
        model.Graph.Initializer.Any(weight => weight.DataType is (int)DataType.Float16 or (int)DataType.Bfloat16) ? Half : Float;

    /// <summary>Whether the graph has the very weights of its checkpoint, so that a row of the checkpoint holds for it within <see cref="Float"/>.</summary>
    public static bool HasExactWeights(ModelProto model) => Of(model) == Float && !model.Graph.Initializer.Any(weight => Quantised.Contains((DataType)weight.DataType));

    public static bool RoundsActivations(ModelProto model) => model.Graph.Node.Any(node => node.Attribute.Any(attribute => attribute is { Name: "accuracy_level", I: 4 }));
}
