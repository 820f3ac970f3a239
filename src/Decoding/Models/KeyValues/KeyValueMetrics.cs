using System.Diagnostics.Metrics;

namespace ProxyTune.Decoding.Models;

/// <summary>Statistics of the memory for keys and values of all models, for metrics and tests. Sizes are in bytes, counts are since the start.</summary>
/// <param name="Limit">The budget, <see cref="EngineOptions.KeyValueBytes"/>.</param>
/// <param name="Reserved">The bytes reserved for the maximal lengths of the live sequences.</param>
/// <param name="Live">The bytes allocated for live sequences.</param>
/// <param name="Cached">The bytes of the prefix cache.</param>
/// <param name="Hits">The number of sequences that found a prefix. An answer has a sequence in each of its models.</param>
/// <param name="Misses">The number of sequences that found no prefix.</param>
/// <param name="HitTokens">The number of tokens of found prefixes.</param>
/// <param name="Evictions">The number of evicted blocks.</param>
public readonly record struct KeyValueStatistics(
    long Limit, long Reserved, long Live, long Cached, long Hits, long Misses, long HitTokens, long Evictions);

/// <summary>Publishes the <see cref="KeyValueStatistics"/> of a set of models as metrics.</summary>
internal sealed class KeyValueMetrics : IDisposable
{
    private readonly Meter meter = new(EngineMeter.Name);

    public KeyValueMetrics(KeyValueMemory memory)
    {
        Bytes("limit", () => memory.Statistics.Limit, "The budget for keys and values.");
        Bytes("reserved", () => memory.Statistics.Reserved, "What running answers can come to need.");
        Bytes("live", () => memory.Statistics.Live, "Allocated for running answers.");
        Bytes("cached", () => memory.Statistics.Cached, "Taken by prefixes of earlier texts.");
        Count("hits", () => memory.Statistics.Hits, "Sequences that began with a prefix of an earlier text.");
        Count("misses", () => memory.Statistics.Misses, "Sequences that looked for such a prefix and found none.");
        Count("tokens", () => memory.Statistics.HitTokens, "Prompt tokens that were not computed because of it.");
        Count("evictions", () => memory.Statistics.Evictions, "Blocks of such prefixes that had to go.");
    }

    public void Dispose() => meter.Dispose();

    private void Bytes(string what, Func<long> read, string description) =>
        meter.CreateObservableUpDownCounter($"proxytune.key_values.{what}", read, "By", description);

    private void Count(string what, Func<long> read, string description) => meter.CreateObservableCounter($"proxytune.prefix.{what}", read, description: description);
}
