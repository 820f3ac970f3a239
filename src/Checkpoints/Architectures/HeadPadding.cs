namespace ProxyTune.Checkpoints.Architectures;

/// <summary>Pads heads to a size that the kernel accepts. Zeros go into each half, since rotation pairs dimension i with i + size / 2.</summary>
/// <param name="Size">Head size of the model; even.</param>
/// <param name="Padded">Head size of the graph; equal to <paramref name="Size"/> if nothing is padded.</param>
internal readonly record struct HeadPadding(int Size, int Padded)
{
    // GroupQueryAttention takes multiples of this.
    private const int Unit = 16;

    public bool IsNone => Size == Padded;

    public static HeadPadding Of(int size) => new(size, (size + Unit - 1) / Unit * Unit);

    /// <summary>The index in the padded heads for an index in the model's heads; both count the dimensions of all heads.</summary>
    public int Index(int index)
    {
        (int head, int half, int i) = (index / Size, index % Size / (Size / 2), index % (Size / 2));
        return (head * Padded) + (half * Padded / 2) + i;
    }
}
