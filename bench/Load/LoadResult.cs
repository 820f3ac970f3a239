namespace ProxyTune.Load;

/// <summary>What a client saw of one request; times in seconds.</summary>
/// <param name="Due">When it was to be sent, from the start of the run.</param>
/// <param name="First">From then to the first token, so that a server which makes clients late is not spared; null without any token.</param>
/// <param name="Gaps">Between one token and the next.</param>
/// <param name="Whole">From then to the end of the answer.</param>
/// <param name="Failure">Null where all went well.</param>
internal sealed record LoadResult(string Model, double Due, double? First, IReadOnlyList<double> Gaps, double Whole, int Tokens, string? Failure);
