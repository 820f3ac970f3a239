namespace ProxyTune.Checkpoints.Formats;

/// <summary>How a tensor's elements are stored. Names and numbers are ggml's (ggml_type in ggml.h).</summary>
internal enum GgufType
{
    F32 = 0,
    F16 = 1,

    /// <summary>Blocks of 32: a scale of 16 bits, and 4 bits for each element.</summary>
    Q4_0 = 2,

    /// <summary>As Q4_0, with a minimum of 16 bits.</summary>
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,

    /// <summary>Blocks of 32: a scale of 16 bits, and 8 bits for each element.</summary>
    Q8_0 = 8,
    Q8_1 = 9,

    /// <summary>The K types have blocks of 256 with two levels of scales.</summary>
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    Q8_K = 15,
    IQ2_XXS = 16,
    IQ2_XS = 17,
    IQ3_XXS = 18,
    IQ1_S = 19,
    IQ4_NL = 20,
    IQ3_S = 21,
    IQ2_S = 22,
    IQ4_XS = 23,
    I8 = 24,
    I16 = 25,
    I32 = 26,
    I64 = 27,
    F64 = 28,
    IQ1_M = 29,
    BF16 = 30,
    TQ1_0 = 34,
    TQ2_0 = 35,
    MXFP4 = 39,
}
