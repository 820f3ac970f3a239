namespace ProxyTune.Decoding.Models;

/// <summary>Counts since the start.</summary>
/// <param name="Calls">Rows asked for.</param>
/// <param name="Retries">Attempts beyond the first of a call.</param>
/// <param name="Failures">Calls that ended without a row.</param>
/// <param name="Named">Tokens that the remote named.</param>
/// <param name="Dropped">Of these, those without one id in the tokenizer here.</param>
public readonly record struct RemoteStatistics(long Calls, long Retries, long Failures, long Named, long Dropped);
