namespace ProxyTune.Testing;

/// <summary>Sizes and seed of a model with random weights.</summary>
public sealed record TinyModelOptions
{
    public int Hidden { get; init; } = 32;

    public int Intermediate { get; init; } = 48;

    public int Layers { get; init; } = 2;

    public int Heads { get; init; } = 4;

    public int KeyValueHeads { get; init; } = 2;

    public int HeadSize { get; init; } = 16;

    /// <summary>Rows of the embedding; at least <see cref="TinyTokenizer.Size"/>. Ids from <see cref="TokenizerSize"/> on have no text.</summary>
    public int Vocabulary { get; init; } = TinyTokenizer.Size;

    /// <summary>Number of tokens of the tokenizer. Null means <see cref="Vocabulary"/>, up to all pairs of letters.</summary>
    public int? TokenizerSize { get; init; }

    /// <summary>Rotates the ids of the byte tokens, which makes another vocabulary of the same size.</summary>
    public int TokenizerShift { get; init; }

    public int Context { get; init; } = 128;

    public bool Tied { get; init; } = true;

    public double RopeTheta { get; init; } = 10_000;

    /// <summary>Seed of the weights.</summary>
    public int Seed { get; init; } = 1;

    public IReadOnlyList<int> EndIds { get; init; } = [0, 4];
}
