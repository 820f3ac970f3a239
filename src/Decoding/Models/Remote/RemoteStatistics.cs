namespace ProxyTune.Decoding.Models;

/// <summary>Counts of a remote model since the start.</summary>
/// <param name="Calls">The number of requested rows.</param>
/// <param name="Retries">The number of attempts after the first attempt of a call.</param>
/// <param name="Failures">The number of calls without a row.</param>
/// <param name="Named">The number of tokens that the remote returned.</param>
/// <param name="Dropped">The number of returned tokens without a unique id in the local tokenizer.</param>
public readonly record struct RemoteStatistics(long Calls, long Retries, long Failures, long Named, long Dropped);
