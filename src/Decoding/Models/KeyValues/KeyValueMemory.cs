using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// The budget for the keys and values of all models together. Live sequences reserve memory for their maximal length. The prefix cache uses the rest, and
/// the part of the reservations that is not allocated yet. When sequences need it, the least recently used blocks are evicted.
/// </summary>
/// <remarks>
/// Thread-safe. <see cref="Gate"/> guards all counts and the blocks of all prefix caches. It is held for no copy of keys and values: a block is pinned
/// meanwhile. A thread may hold the gate of its own model when it takes this one, but not the other way round.
/// </remarks>
public sealed class KeyValueMemory : IDisposable
{
    private readonly LinkedList<PrefixBlock> blocks = [];
    private readonly KeyValueMetrics metrics;
    private long committed;
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

    public KeyValueStatistics Statistics
    {
        get
        {
            lock (Gate)
            {
                return new(Limit, reserved, used, cached, hits, misses, hitTokens, evictions);
            }
        }
    }

    internal Lock Gate { get; } = new();

    /// <returns>Whether there is room beside what the other models have reserved or still hold. If not, nothing changes.</returns>
    internal bool TryReserve(KeyValueAccount account, long bytes)
    {
        lock (Gate)
        {
            long more = Math.Max(bytes, account.Used) - account.Committed;
            if (more > 0 && more > Limit - committed)
            {
                return false;
            }

            committed += more;
            reserved += bytes - account.Reserved;
            account.Reserved = bytes;
            return true;
        }
    }

    /// <summary>Sets the number of allocated bytes of an account. They are within what is committed, so eviction makes enough room, except for blocks that are being copied.</summary>
    internal void Use(KeyValueAccount account, long bytes)
    {
        lock (Gate)
        {
            long more = bytes - account.Used;
            MakeRoom(more, long.MaxValue);
            committed += Math.Max(bytes, account.Reserved) - account.Committed;
            used += more;
            account.Used = bytes;
        }
    }

    /// <summary>A number for one look-up or store, larger than all earlier ones.</summary>
    internal long NextUse() => Interlocked.Increment(ref uses);

    /// <summary>Takes room for a block, unless that would evict a block that was used at the same time or later. <see cref="Add"/> or <see cref="GiveBack"/> follows.</summary>
    internal bool TryCache(long bytes, long since)
    {
        lock (Gate)
        {
            if (!MakeRoom(bytes, since))
            {
                return false;
            }

            cached += bytes;
            return true;
        }
    }

    /// <summary>Gives back the room of a block that could not be made.</summary>
    internal void GiveBack(long bytes)
    {
        lock (Gate)
        {
            cached -= bytes;
        }
    }

    /// <summary>Adds a block for which there is room. The gate is held.</summary>
    internal void Add(PrefixBlock block) => blocks.AddFirst(block.Place);

    /// <summary>Marks a block as the most recently used one, unless it was evicted. The gate is held.</summary>
    internal void Touch(PrefixBlock block)
    {
        if (block.Place.List is not null)
        {
            blocks.Remove(block.Place);
            blocks.AddFirst(block.Place);
        }
    }

    /// <summary>Removes a block. The gate is held.</summary>
    internal void Remove(PrefixBlock block)
    {
        blocks.Remove(block.Place);
        cached -= block.Bytes;
        block.Dispose();
    }

    /// <param name="tokens">The number of tokens that were found; 0 is a miss.</param>
    internal void CountLookUp(int tokens)
    {
        lock (Gate)
        {
            (hits, misses, hitTokens) = (hits + (tokens > 0 ? 1 : 0), misses + (tokens > 0 ? 0 : 1), hitTokens + tokens);
        }
    }

    public void Dispose() => metrics.Dispose();

    /// <summary>Evicts blocks that were last used before a given use, the oldest first, until there is room.</summary>
    private bool MakeRoom(long bytes, long since)
    {
        for (LinkedListNode<PrefixBlock>? next = blocks.Last; bytes > Limit - used - cached && next is { Value: var block } && block.UsedAt < since;)
        {
            next = next.Previous;
            if (block.Pins == 0)
            {
                block.Owner.Forget(block);
                Remove(block);
                evictions++;
            }
        }

        return bytes <= Limit - used - cached;
    }
}

/// <summary>The account of one model in the memory for keys and values.</summary>
internal sealed class KeyValueAccount(KeyValueMemory memory)
{
    /// <summary>The bytes that are reserved for the maximal lengths of the live sequences.</summary>
    public long Reserved { get; set; }

    /// <summary>The allocated bytes.</summary>
    public long Used { get; set; }

    /// <summary>What other models cannot have: the reservation, or what is still allocated beyond it.</summary>
    public long Committed => Math.Max(Reserved, Used);

    /// <returns>Whether there is room beside the reservations of other models. If not, nothing changes.</returns>
    public bool TryReserve(long bytes) => memory.TryReserve(this, bytes);

    /// <summary>Sets the number of allocated bytes, after making room for them.</summary>
    public void Use(long bytes) => memory.Use(this, bytes);

    /// <summary>Called when all memory of the account is freed.</summary>
    public void Close()
    {
        Use(0);
        TryReserve(0);
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
