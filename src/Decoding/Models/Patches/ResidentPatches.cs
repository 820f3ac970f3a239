using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// The patches in memory. A patch is loaded at its first use. If all patches together exceed a limit, the least recently used ones are
/// removed. A caller may use a patch after its removal. Thread-safe.
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

    /// <param name="limit">The limit in bytes. Null takes a sixteenth of the memory that this process may use. The most recently used patch stays at any size.</param>
    public ResidentPatches(long? limit)
    {
        Limit = limit ?? GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 16;
        metrics = new(this);
    }

    /// <summary>The limit in bytes.</summary>
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

    /// <summary>Returns the patch of a key and loads it if necessary. A caller waits only for the load of its own patch.</summary>
    /// <param name="load">Loads the patch. There is one call at a time for a key. All waiting callers get its exception. The next call tries again.</param>
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

    /// <summary>Removes the patches whose keys satisfy a condition.</summary>
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

        /// <summary>The size in bytes; 0 during the load.</summary>
        public long Bytes { get; set; }
    }
}

/// <summary>Statistics of the patches in memory. Counts are since the start.</summary>
/// <param name="Limit">The limit in bytes.</param>
/// <param name="Loads">The number of loads.</param>
/// <param name="Evictions">The number of patches that were removed to make room.</param>
public sealed record ResidentPatchStatistics(long Limit, int Count, long Bytes, long Loads, long Evictions);
