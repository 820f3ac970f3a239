namespace ProxyTune.Checkpoints.Architectures;

/// <summary>
/// The place of each dimension of a head in the graph. A graph with padded heads pairs dimension i with i + padded size / 2. So the rotated
/// dimensions stand at the beginning of each half, and the others, and zeros of padding, stand behind them.
/// </summary>
/// <param name="Size">Head size of the model; even.</param>
/// <param name="Padded">Head size of the graph; at least <paramref name="Size"/>.</param>
/// <param name="Rotary">The number of dimensions that rotate, from the first one; even and at most <paramref name="Size"/>.</param>
internal readonly record struct HeadLayout(int Size, int Padded, int Rotary)
{
    // GroupQueryAttention takes multiples of this.
    private const int Unit = 16;
    private const int MaxSize = 1 << 16;

    /// <summary>Whether the graph's heads are the model's heads.</summary>
    public bool IsSame => Size == Padded && Rotary == Size;

    /// <summary>The graph's heads are the model's heads.</summary>
    public static HeadLayout Same(int size) => new(size, size, size);

    public static HeadLayout Of(int size) => new(size, (size + Unit - 1) / Unit * Unit, size);

    public static HeadLayout Of(DecoderSpec spec) =>
        spec.RotarySize is not { } rotary ? Of(spec.HeadSize)
        : IsByTable(spec.HeadSize, rotary) ? Same(spec.HeadSize)
        : Of(spec.HeadSize) with { Rotary = rotary };

    /// <summary>The number of dimensions that the graph rotates: all of a head's, or as many as the kernel's table has.</summary>
    public static int TableSize(DecoderSpec spec) =>
        spec.RotarySize is { } rotary && IsByTable(spec.HeadSize, rotary) ? rotary : Of(spec.HeadSize).Padded;

    /// <summary>Whether the numbers are those of a layout.</summary>
    public bool IsValid => Size is > 0 and <= MaxSize && Padded is > 0 and <= MaxSize && Rotary > 0 && Size % 2 == 0 && Padded % 2 == 0 && Rotary % 2 == 0 && Rotary <= Size && Size <= Padded;

    /// <summary>The index in the graph's heads for an index in the model's heads; both count the dimensions of all heads.</summary>
    public int Index(int index)
    {
        (int head, int i) = (index / Size * Padded, index % Size);
        if (i < Rotary)
        {
            return head + (i / (Rotary / 2) * Padded / 2) + (i % (Rotary / 2));
        }

        // The model's other dimensions fill the rest of each half equally, so that a layout without them has zeros in both halves too.
        int others = (Size - Rotary) / 2, other = i - Rotary;
        return head + (other / others * Padded / 2) + (Rotary / 2) + (other % others);
    }

    // GroupQueryAttention pairs the first half of the rotated dimensions with the second half by itself, if both sizes suit it.
    private static bool IsByTable(int size, int rotary) => size % Unit == 0 && rotary % Unit == 0;
}
