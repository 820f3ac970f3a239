namespace ProxyTune.Checkpoints.Architectures;

/// <summary>Heads of a size that a kernel does not take, with zeros in each half: rotation pairs dimension i with i + size / 2.</summary>
/// <param name="Size">Of the model's heads; even.</param>
/// <param name="Padded">Of the graph's heads; the same where nothing is padded.</param>
internal readonly record struct HeadPadding(int Size, int Padded)
{
    // GroupQueryAttention takes multiples of this.
    private const int Unit = 16;

    public bool IsNone => Size == Padded;

    public static HeadPadding Of(int size) => new(size, (size + Unit - 1) / Unit * Unit);

    /// <summary>Where the graph has what the model has at that index of all its heads' dimensions.</summary>
    public int Index(int index)
    {
        (int head, int half, int i) = (index / Size, index % Size / (Size / 2), index % (Size / 2));
        return (head * Padded) + (half * Padded / 2) + i;
    }
}
