namespace ProxyTune.Checkpoints.Formats;

/// <summary>Elements and bytes of a block of each type; a type without blocks has blocks of one element.</summary>
/// <param name="CanRead">Whether <see cref="GgufDequantizer"/> reads it.</param>
internal readonly record struct GgufLayout(int Elements, int Bytes, bool CanRead)
{
    private static readonly Dictionary<GgufType, GgufLayout> All = new()
    {
        [GgufType.F32] = new(1, 4, true),
        [GgufType.F16] = new(1, 2, true),
        [GgufType.BF16] = new(1, 2, true),
        [GgufType.F64] = new(1, 8, true),
        [GgufType.Q4_0] = new(32, 18, true),
        [GgufType.Q4_1] = new(32, 20, true),
        [GgufType.Q5_0] = new(32, 22, true),
        [GgufType.Q5_1] = new(32, 24, true),
        [GgufType.Q8_0] = new(32, 34, true),
        [GgufType.Q2_K] = new(256, 84, true),
        [GgufType.Q3_K] = new(256, 110, true),
        [GgufType.Q4_K] = new(256, 144, true),
        [GgufType.Q5_K] = new(256, 176, true),
        [GgufType.Q6_K] = new(256, 210, true),
        [GgufType.Q8_1] = new(32, 36, false),
        [GgufType.Q8_K] = new(256, 292, false),
        [GgufType.IQ1_S] = new(256, 50, false),
        [GgufType.IQ1_M] = new(256, 56, false),
        [GgufType.IQ2_XXS] = new(256, 66, false),
        [GgufType.IQ2_XS] = new(256, 74, false),
        [GgufType.IQ2_S] = new(256, 82, false),
        [GgufType.IQ3_XXS] = new(256, 98, false),
        [GgufType.IQ3_S] = new(256, 110, false),
        [GgufType.IQ4_NL] = new(32, 18, false),
        [GgufType.IQ4_XS] = new(256, 136, false),
        [GgufType.TQ1_0] = new(256, 54, false),
        [GgufType.TQ2_0] = new(256, 66, false),
        [GgufType.MXFP4] = new(32, 17, false),
        [GgufType.I8] = new(1, 1, false),
        [GgufType.I16] = new(1, 2, false),
        [GgufType.I32] = new(1, 4, false),
        [GgufType.I64] = new(1, 8, false),
    };

    /// <summary>The types that can be read, as messages list them.</summary>
    public static string Readable { get; } = string.Join(", ", All.Where(type => type.Value.CanRead).Select(type => type.Key));

    public static GgufLayout Of(GgufType type) => All[type];

    public static bool IsKnown(GgufType type) => All.ContainsKey(type);

    /// <summary>Bytes of that many elements, which are whole blocks.</summary>
    public long BytesOf(long elements) => elements / Elements * Bytes;
}
