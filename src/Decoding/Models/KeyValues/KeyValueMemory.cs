using System.Collections.Immutable;
using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// The budget for the keys and values of all models together. Live sequences reserve memory for their maximal length. The prefix cache uses the rest, and
/// the part of the reservations that is not allocated yet. When sequences need it, the least recently used blocks are evicted.
/// </summary>
/// <remarks>Only the thread that runs the models uses it, except that any thread may load another model and read <see cref="Statistics"/>.</remarks>
public sealed class KeyValueMemory : IDisposable
{
    private readonly LinkedList<PrefixBlock> blocks = [];
    private readonly KeyValueMetrics metrics;
    private ImmutableList<KeyValueAccount> accounts = [];
    private long reserved;
    private long used;
    private long cached;
    private long evictions;
    private long hits;
    private long misses;
    private long hitTokens;
    private long uses;

    /// <param name="limit">The budget in bytes, at least 1. Null takes a quarter of the memory that this process may use.</param>
    public KeyValueMemory(long? limit)
    {
        Limit = limit ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4;
        metrics = new(this);
    }

    /// <summary>The budget in bytes.</summary>
    public long Limit { get; }

    public KeyValueStatistics Statistics => new(
        Limit,
        Interlocked.Read(ref reserved),
        Interlocked.Read(ref used),
        Interlocked.Read(ref cached),
        Interlocked.Read(ref hits),
        Interlocked.Read(ref misses),
        Interlocked.Read(ref hitTokens),
        Interlocked.Read(ref evictions));

    internal KeyValueAccount Open(Action trim)
    {
        KeyValueAccount account = new(this, trim);
        ImmutableInterlocked.Update(ref accounts, others => others.Add(account));
        return account;
    }

    internal void Close(KeyValueAccount account) => ImmutableInterlocked.Update(ref accounts, others => others.Remove(account));

    internal bool TryReserve(long more)
    {
        if (more > Limit - reserved)
        {
            return false;
        }

        Interlocked.Add(ref reserved, more);
        return true;
    }

    internal void Use(KeyValueAccount account, long more)
    {
        // The block is within the reservation, so eviction always makes enough room.
        foreach (KeyValueAccount other in accounts)
        {
            if (more > Limit - used - cached && other != account && other.HasSlack)
            {
                other.Trim();
            }
        }

        while (more > Limit - used - cached && blocks.Last is { } oldest)
        {
            Evict(oldest.Value);
        }

        Interlocked.Add(ref used, more);
    }

    /// <summary>A number for one look-up or store, larger than all earlier ones.</summary>
    internal long NextUse() => ++uses;

    /// <summary>Makes room for a block, unless that would evict a block that was used at the same time or later.</summary>
    internal bool TryCache(long bytes, long since)
    {
        while (bytes > Limit - used - cached)
        {
            if (blocks.Last is not { } oldest || oldest.Value.UsedAt >= since)
            {
                return false;
            }

            Evict(oldest.Value);
        }

        return true;
    }

    internal void Add(PrefixBlock block)
    {
        blocks.AddFirst(block.Place);
        Interlocked.Add(ref cached, block.Bytes);
    }

    /// <summary>Marks a block as the most recently used one.</summary>
    internal void Touch(PrefixBlock block)
    {
        blocks.Remove(block.Place);
        blocks.AddFirst(block.Place);
    }

    internal void Remove(PrefixBlock block)
    {
        blocks.Remove(block.Place);
        Interlocked.Add(ref cached, -block.Bytes);
        block.Dispose();
    }

    /// <param name="tokens">The number of tokens that were found; 0 is a miss.</param>
    internal void CountLookUp(int tokens)
    {
        Interlocked.Increment(ref tokens > 0 ? ref hits : ref misses);
        Interlocked.Add(ref hitTokens, tokens);
    }

    public void Dispose() => metrics.Dispose();

    private void Evict(PrefixBlock block)
    {
        block.Owner.Forget(block);
        Remove(block);
        Interlocked.Increment(ref evictions);
    }
}

/// <summary>The account of one model in the memory for keys and values.</summary>
/// <param name="trim">Frees memory at once that is allocated beyond the reservation.</param>
internal sealed class KeyValueAccount(KeyValueMemory memory, Action trim)
{
    /// <summary>The bytes that are reserved for the maximal lengths of the live sequences.</summary>
    public long Reserved { get; private set; }

    /// <summary>The allocated bytes.</summary>
    public long Used { get; private set; }

    public bool HasSlack => Used > Reserved;

    /// <returns>Whether there is room beside the reservations of other models. If not, nothing changes.</returns>
    public bool TryReserve(long bytes)
    {
        if (!memory.TryReserve(bytes - Reserved))
        {
            return false;
        }

        Reserved = bytes;
        return true;
    }

    /// <summary>Sets the number of allocated bytes, after making room for them.</summary>
    public void Use(long bytes)
    {
        memory.Use(this, bytes - Used);
        Used = bytes;
    }

    public void Trim() => trim();

    /// <summary>Called when all memory of the account is freed.</summary>
    public void Close()
    {
        Use(0);
        TryReserve(0);
        memory.Close(this);
    }
}

/// <summary>The largest number of bytes of keys and values that an answer can need, for all its sequences together.</summary>
/// <param name="Limit">The budget; null if no model has one.</param>
/// <param name="Sum">The terms of the sum in words.</param>
internal sealed record KeyValueNeed(long Bytes, long? Limit, string Sum)
{
    public bool Fits => Limit is not { } limit || Bytes <= limit;

    /// <summary>Refuses a budget that is too small.</summary>
    /// <param name="what">The subject of the message.</param>
    /// <exception cref="EngineException">InvalidValue, with the sum.</exception>
    public void Require(string what)
    {
        if (!Fits)
        {
            throw new EngineException(
                EngineError.InvalidValue,
                $"{nameof(EngineOptions.KeyValueBytes)} is {Limit}; keys and values of {what} may take {Bytes} bytes: {Sum}. It must be at least that.",
                nameof(EngineOptions.KeyValueBytes));
        }
    }

    /// <param name="sequences">The models, and the length of the longest sequence of each in tokens.</param>
    public static KeyValueNeed Of(IEnumerable<(ModelInfo Model, int Length)> sequences)
    {
        (string Name, KeyValueSize Size, int[] Lengths)[] sizes = sequences
            .Where(sequence => sequence.Model.KeyValues is not null)
            .GroupBy(sequence => sequence.Model, sequence => sequence.Length, ReferenceEqualityComparer.Instance)
            .Select(lengths => (Model: (ModelInfo)lengths.Key!, Lengths: lengths.ToArray()))
            .Select(model => (model.Model.Name, Size: model.Model.KeyValues!, model.Lengths))
            .ToArray();
        return new(
            sizes.Sum(model => model.Size.Bytes(model.Lengths)),
            sizes.Length == 0 ? null : sizes.Min(model => model.Size.Limit),
            string.Join(" + ", sizes.Select(model => $"{model.Size.Describe(model.Lengths)} ('{model.Name}')")));
    }
}

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
