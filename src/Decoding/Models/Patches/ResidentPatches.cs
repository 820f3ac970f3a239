using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// The patches that are in memory: each loaded when it is first asked for, and the least recently used forgotten when all together take more
/// than a limit. A caller may use the patch that it got for as long as it needs, forgotten or not. Thread-safe.
/// </summary>
public sealed class ResidentPatches : IDisposable
{
    private readonly Lock gate = new();
    private readonly Dictionary<object, LinkedListNode<Entry>> entries = [];
    private readonly LinkedList<Entry> byUse = [];
    private readonly PatchMetrics metrics;
    private long bytes;
    private long loads;
    private long evictions;

    /// <param name="limit">Bytes; null takes a sixteenth of the memory that this process may use. The last one used stays whatever its size.</param>
    public ResidentPatches(long? limit)
    {
        Limit = limit ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 16;
        metrics = new(this);
    }

    /// <summary>Bytes.</summary>
    public long Limit { get; }

    public ResidentPatchStatistics Statistics
    {
        get
        {
            lock (gate)
            {
                return new(Limit, byUse.Count, bytes, loads, evictions);
            }
        }
    }

    /// <summary>The patch of that key. A caller waits for the patch that it asks for while it is being loaded, and for no other.</summary>
    /// <param name="load">Called at most once at a time for a key. All callers that wait get its failure, which is not kept.</param>
    internal PatchSum Get(object key, Func<PatchSum> load)
    {
        LinkedListNode<Entry>? node;
        lock (gate)
        {
            if (entries.TryGetValue(key, out node))
            {
                byUse.Remove(node);
            }
            else
            {
                entries[key] = node = new(new(key, new(load)));
                loads++;
            }

            byUse.AddFirst(node);
        }

        try
        {
            PatchSum patch = node.Value.Patch.Value;
            Account(node, patch.Bytes);
            return patch;
        }
        catch
        {
            Forget(node);
            throw;
        }
    }

    /// <summary>Drops what the condition holds for.</summary>
    internal void Forget(Func<object, bool> condition)
    {
        lock (gate)
        {
            foreach (LinkedListNode<Entry> node in entries.Where(entry => condition(entry.Key)).Select(entry => entry.Value).ToArray())
            {
                Forget(node);
            }
        }
    }

    public void Dispose() => metrics.Dispose();

    private void Account(LinkedListNode<Entry> node, long size)
    {
        lock (gate)
        {
            if (node.Value.Bytes == 0 && node.List is not null)
            {
                node.Value.Bytes = size;
                bytes += size;
            }

            while (bytes > Limit && byUse.Last is { } oldest && oldest != node)
            {
                Forget(oldest);
                evictions++;
            }
        }
    }

    private void Forget(LinkedListNode<Entry> node)
    {
        lock (gate)
        {
            if (node.List is not null)
            {
                byUse.Remove(node);
                entries.Remove(node.Value.Key);
                bytes -= node.Value.Bytes;
            }
        }
    }

    private sealed class Entry(object key, Lazy<PatchSum> patch)
    {
        public object Key => key;

        public Lazy<PatchSum> Patch => patch;

        /// <summary>0 while it is being loaded.</summary>
        public long Bytes { get; set; }
    }
}

/// <summary>What is resident now, and what was done for it.</summary>
/// <param name="Limit">Bytes.</param>
/// <param name="Loads">Patches that were asked for and not there.</param>
/// <param name="Evictions">Patches that had to go for others.</param>
public sealed record ResidentPatchStatistics(long Limit, int Count, long Bytes, long Loads, long Evictions);
