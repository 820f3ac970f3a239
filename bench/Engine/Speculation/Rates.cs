namespace ProxyTune.Bench.Speculation;

/// <summary>Tokens per second.</summary>
/// <param name="Whole">All tokens over all time, what of the prompts is not known included.</param>
/// <param name="Decoding">
/// Tokens after the first of each answer, over the time from its first to its last, as its reader sees them: a reader that wakes late sees the
/// first late, so steps must take milliseconds.
/// </param>
internal readonly record struct Rates(double Whole, double Decoding);
