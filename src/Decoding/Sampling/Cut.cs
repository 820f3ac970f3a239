namespace ProxyTune.Decoding.Sampling;

/// <summary>The last token that truncation keeps, in the order "higher score first, lower id first among equals".</summary>
internal readonly record struct Cut(float Score, int Id)
{
    public static Cut None { get; } = new(float.NegativeInfinity, int.MaxValue);

    public bool Keeps(float score, int id) => score > Score || (score == Score && id <= Id);

    /// <summary>The cut that keeps what both keep.</summary>
    public Cut And(Cut other) => Keeps(other.Score, other.Id) ? other : this;
}
