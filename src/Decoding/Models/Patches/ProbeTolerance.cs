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

    /// <summary>The tolerance for sessions that do not round activations to 8 bits.</summary>
    public static double Of(ModelProto model) =>
        model.Graph.Initializer.Any(weight => weight.DataType is (int)DataType.Float16 or (int)DataType.Bfloat16) ? Half : Float;

    public static bool RoundsActivations(ModelProto model) => model.Graph.Node.Any(node => node.Attribute.Any(attribute => attribute is { Name: "accuracy_level", I: 4 }));
}
