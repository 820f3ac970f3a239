namespace ProxyTune.Bench.Speculation;

/// <summary>Tokens per second.</summary>
/// <param name="Whole">All tokens over the whole time, which includes the parts of the prompts that are not in the prefix cache.</param>
/// <param name="Decoding">
/// The tokens after the first of each answer, over the time between its first and its last token at the reader. A reader that wakes up late
/// makes this time shorter, so the figure is exact only if a step takes milliseconds.
/// </param>
internal readonly record struct Rates(double Whole, double Decoding);
