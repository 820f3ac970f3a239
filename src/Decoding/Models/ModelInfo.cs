namespace ProxyTune.Decoding.Models;

/// <summary>What is known of a model before it runs.</summary>
public sealed record ModelInfo
{
    public required string Name { get; init; }

    /// <summary>Width of a logits row.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Most tokens that a sequence can hold.</summary>
    public required int ContextLength { get; init; }

    /// <summary>The ids that end a text.</summary>
    public required IReadOnlyList<int> EndOfTextIds { get; init; }

    /// <summary>SHA-256 over graph and weight files, lower-case hex.</summary>
    public required string Hash { get; init; }

    /// <summary>What keys and values of its sequences take; null where it keeps none here.</summary>
    internal KeyValueSize? KeyValues { get; init; }

    /// <summary>Runs behind a network: it gives one row per call, which knows only the likeliest tokens, and may be slow or down.</summary>
    public bool IsRemote { get; init; }
}

/// <summary>What keys and values of a model's sequences take.</summary>
/// <param name="Tensors">Two for each layer.</param>
/// <param name="TensorBytes">Bytes of one token in one of them.</param>
/// <param name="IsShared">All sequences are rows of one buffer per tensor, as wide as the longest; else each has tensors of its own.</param>
/// <param name="FixedWidth">The buffer's width where the graph prescribes one.</param>
/// <param name="Limit">The budget, which may be other models' too.</param>
internal sealed record KeyValueSize(int Tensors, long TensorBytes, int ContextLength, bool IsShared, int? FixedWidth, long Limit)
{
    private const int LeastWidth = 64;

    /// <summary>Bytes of one token.</summary>
    public long TokenBytes => Tensors * TensorBytes;

    /// <summary>
    /// The same in a buffer that grows: it is copied tensor by tensor, so that one of them exists twice. Where tensors grow with every run,
    /// the whole sequence that runs exists twice.
    /// </summary>
    private long GrowingBytes => IsShared ? TokenBytes + TensorBytes : TokenBytes;

    /// <summary>How wide a shared buffer is for sequences up to that length.</summary>
    public int Width(int longest) => FixedWidth ?? Math.Min(ContextLength, Math.Max(longest, LeastWidth));

    /// <summary>The most bytes that sequences of up to these lengths take together.</summary>
    public long Bytes(IReadOnlyCollection<int> lengths) => Tokens(lengths) * GrowingBytes;

    /// <summary>The sum in words.</summary>
    public string Describe(IReadOnlyCollection<int> lengths) => $"{Tokens(lengths)} tokens x {GrowingBytes} bytes";

    private long Tokens(IReadOnlyCollection<int> lengths) =>
        lengths.Count == 0 ? 0
        : IsShared ? (long)lengths.Count * Width(lengths.Max())
        : lengths.Sum(length => (long)length) + lengths.Max();
}
