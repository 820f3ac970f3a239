using System.Collections.Immutable;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// The budget for the keys and values of all models together. Live sequences reserve the most that they can come to need; what they do not
/// use yet holds prefixes of earlier texts, which make room when it is used, the least recently used first.
/// </summary>
/// <remarks>Touched by the thread that runs the models, but that any thread may load a further one; <see cref="Statistics"/> may be read by any thread.</remarks>
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

    /// <param name="limit">Bytes, at least 1; null takes a quarter of the memory that this process may use.</param>
    public KeyValueMemory(long? limit)
    {
        Limit = limit ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4;
        metrics = new(this);
    }

    /// <summary>Bytes.</summary>
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
        // Within what is reserved, so that in the end there is room.
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

    /// <summary>A number for one look-up or store, larger than those before.</summary>
    internal long NextUse() => ++uses;

    /// <summary>Makes room for a block, unless one would have to go that was used as late as that.</summary>
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

    /// <summary>The block was used last of all.</summary>
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

    /// <param name="tokens">How many were found; 0 is a miss.</param>
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
