namespace ProxyTune.Decoding.Models;

/// <summary>The memory for keys and values of all models, for metrics and tests; bytes, and counts since the start.</summary>
/// <param name="Limit">The budget, <see cref="EngineOptions.KeyValueBytes"/>.</param>
/// <param name="Reserved">The most that the live sequences can come to need.</param>
/// <param name="Live">Allocated for live sequences.</param>
/// <param name="Cached">Taken by prefixes of earlier texts.</param>
/// <param name="Hits">Sequences that found a prefix. An answer has a sequence in each of its models.</param>
/// <param name="Misses">Sequences that looked and found none.</param>
/// <param name="HitTokens">Tokens of the prefixes that were found.</param>
/// <param name="Evictions">Blocks of tokens that had to go.</param>
public readonly record struct KeyValueStatistics(
    long Limit, long Reserved, long Live, long Cached, long Hits, long Misses, long HitTokens, long Evictions);
