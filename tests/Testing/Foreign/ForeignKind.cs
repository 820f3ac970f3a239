namespace ProxyTune.Testing.Foreign;

/// <summary>Layouts of a model folder that others write and our exporter does not.</summary>
public enum ForeignKind
{
    /// <summary>GroupQueryAttention with separate q, k and v; linear weights [in, out] inside the graph.</summary>
    SeparateProjections,

    /// <summary>As SeparateProjections, but rotated outside of the attention, by the input position_ids.</summary>
    PositionIds,

    /// <summary>Weights in two files of their own, a graph file and cache inputs under other names.</summary>
    ExternalFiles,

    /// <summary>Standard ONNX operators only: MatMul, Softmax, past concatenated with present, position_ids. Any head size.</summary>
    PlainAttention,
}
