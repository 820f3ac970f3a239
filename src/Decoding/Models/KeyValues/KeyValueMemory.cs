using System.Collections.Immutable;
using ProxyTune.Checkpoints;

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

/// <summary>One model's part of the memory for keys and values.</summary>
/// <param name="trim">Gives back at once what is allocated beyond what is reserved.</param>
internal sealed class KeyValueAccount(KeyValueMemory memory, Action trim)
{
    /// <summary>The most that the live sequences can come to need, bytes.</summary>
    public long Reserved { get; private set; }

    /// <summary>Bytes that are allocated.</summary>
    public long Used { get; private set; }

    public bool HasSlack => Used > Reserved;

    /// <returns>Whether there is room, beside what others have reserved; if not, nothing changes.</returns>
    public bool TryReserve(long bytes)
    {
        if (!memory.TryReserve(bytes - Reserved))
        {
            return false;
        }

        Reserved = bytes;
        return true;
    }

    /// <summary>Sets the number of bytes that are allocated from now on; makes room for them first.</summary>
    public void Use(long bytes)
    {
        memory.Use(this, bytes - Used);
        Used = bytes;
    }

    public void Trim() => trim();

    /// <summary>All that was allocated is free.</summary>
    public void Close()
    {
        Use(0);
        TryReserve(0);
        memory.Close(this);
    }
}

/// <summary>The most bytes of keys and values that an answer can come to need, all its sequences together.</summary>
/// <param name="Limit">The budget; null where no model has one.</param>
/// <param name="Sum">How the bytes come about.</param>
internal sealed record KeyValueNeed(long Bytes, long? Limit, string Sum)
{
    public bool Fits => Limit is not { } limit || Bytes <= limit;

    /// <summary>Refuses a budget that can never hold it.</summary>
    /// <param name="what">The subject of the message: what needs the memory.</param>
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

    /// <param name="sequences">Models, and the longest sequence of each in tokens.</param>
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
