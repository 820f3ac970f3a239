using Onnx;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Decoding.Models;

/// <summary>How much a probe's logits may differ from their reference, over max(1, the largest logit's magnitude).</summary>
internal static class ProbeTolerance
{
    /// <summary>Sums in another order.</summary>
    public const double Float = 1e-4;

    /// <summary>Sums in another order, rounded to float16 or bfloat16 at every node.</summary>
    public const double Half = 2e-2;

    /// <summary>Between two runs that both round activations to 8 bits in front of every linear node.</summary>
    public const double Rounded = 5e-2;

    /// <summary>Between a run that rounds activations to 8 bits and one that does not: what is beyond is no rounding.</summary>
    public const double Rounding = 0.2;

    /// <summary>Between sessions that do not round activations to 8 bits.</summary>
    public static double Of(ModelProto model) =>
        model.Graph.Initializer.Any(weight => weight.DataType is (int)DataType.Float16 or (int)DataType.Bfloat16) ? Half : Float;

    public static bool RoundsActivations(ModelProto model) => model.Graph.Node.Any(node => node.Attribute.Any(attribute => attribute is { Name: "accuracy_level", I: 4 }));
}
