namespace ProxyTune.Decoding.Sampling;

/// <summary>A token that may be among the likeliest.</summary>
/// <param name="Mass">exp(Score), where a caller needs it.</param>
internal readonly record struct Candidate(float Score, int Id, float Mass = 0)
{
    /// <summary>Higher scores first; among equal ones the lower id.</summary>
    public bool Precedes(in Candidate other) => Score > other.Score || (Score == other.Score && Id < other.Id);
}
