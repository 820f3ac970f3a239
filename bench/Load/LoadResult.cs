namespace ProxyTune.Load;

/// <summary>What a client measured for one request. Times are in seconds.</summary>
/// <param name="Due">Time at which the request was due, from the start of the run.</param>
/// <param name="First">Time from the due time to the first token; null without a token. It includes the delay of a client that sends late because the server is slow.</param>
/// <param name="Gaps">Times between consecutive tokens.</param>
/// <param name="Whole">Time from the due time to the end of the answer.</param>
/// <param name="Failure">Status code, error message or exception; null after a success.</param>
internal sealed record LoadResult(string Model, double Due, double? First, IReadOnlyList<double> Gaps, double Whole, int Tokens, string? Failure);
