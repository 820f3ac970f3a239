namespace ProxyTune.Testing;

/// <summary>Sizes of a model with random weights.</summary>
public sealed record TinyModelOptions
{
    public int Hidden { get; init; } = 32;

    public int Intermediate { get; init; } = 48;

    public int Layers { get; init; } = 2;

    public int Heads { get; init; } = 4;

    public int KeyValueHeads { get; init; } = 2;

    public int HeadSize { get; init; } = 16;

    /// <summary>Rows of the embedding; at least <see cref="TinyTokenizer.Size"/>. Words beyond <see cref="TokenizerSize"/> have no text.</summary>
    public int Vocabulary { get; init; } = TinyTokenizer.Size;

    /// <summary>Words of the tokenizer; null for as many as <see cref="Vocabulary"/>, up to all pairs of letters.</summary>
    public int? TokenizerSize { get; init; }

    /// <summary>Rotates the tokenizer's ids: another map of the same size.</summary>
    public int TokenizerShift { get; init; }

    public int Context { get; init; } = 128;

    public bool Tied { get; init; } = true;

    public double RopeTheta { get; init; } = 10_000;

    /// <summary>Of the weights.</summary>
    public int Seed { get; init; } = 1;

    public IReadOnlyList<int> EndIds { get; init; } = [0, 4];
}
