namespace ProxyTune.Testing.Foreign;

/// <summary>Layouts of a model folder that other tools write and this project's exporter does not.</summary>
public enum ForeignKind
{
    /// <summary>GroupQueryAttention with separate q, k and v. Linear weights are [in, out] and stored in the graph.</summary>
    SeparateProjections,

    /// <summary>SeparateProjections with the rotary embedding outside of the attention node, from the input position_ids.</summary>
    PositionIds,

    /// <summary>Weights in two separate files. The graph file and the cache inputs have other names.</summary>
    ExternalFiles,

    /// <summary>Standard ONNX operators only: MatMul, Softmax, concatenation of past and present, position_ids. It accepts any head size.</summary>
    PlainAttention,
}
