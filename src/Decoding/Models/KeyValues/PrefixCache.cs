using System.Runtime.InteropServices;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// The prefix cache of one model: keys and values of earlier texts in blocks of tokens. The blocks form a tree, in which texts with a common beginning
/// share blocks. A sequence copies the blocks that it finds, and the cache copies complete blocks that the sequence has computed.
/// </summary>
/// <remarks>The later blocks of a text are marked as used before its earlier ones, so the least recently used block is always a leaf of the tree.</remarks>
internal sealed class PrefixCache(KeyValueCache cache, KeyValueMemory memory) : IDisposable
{
    /// <summary>The number of tokens of a block.</summary>
    public const int BlockLength = 16;

    private readonly Dictionary<PrefixKey, PrefixBlock> blocks = [];
    private long now;

    /// <summary>The keys and values of the live sequences.</summary>
    public KeyValueCache Cache => cache;

    private long BlockBytes => BlockLength * cache.Size.TokenBytes;

    /// <summary>Copies the cached beginning of a prompt to a new sequence.</summary>
    /// <param name="maxLength">The largest number of positions to copy.</param>
    public void Restore(OnnxSequence sequence, int maxLength)
    {
        if (sequence.Scope is null || maxLength < 1)
        {
            return;
        }

        now = memory.NextUse();
        (List<PrefixBlock> path, int length) = Pin(sequence, maxLength);
        try
        {
            for (int i = 0; i * BlockLength < length; i++)
            {
                int tokens = Math.Min(BlockLength, length - (i * BlockLength));
                ForEachHead(path[i], (block, tensor, head) =>
                    block[..(block.Length / BlockLength * tokens)].CopyTo(cache.Bytes(sequence, tensor, head, i * BlockLength, tokens)));
            }

            sequence.Restored(length);
        }
        finally
        {
            lock (memory.Gate)
            {
                path.ForEach(static block => block.Pins--);
                Touch(path);
            }
        }
    }

    /// <summary>Stores a prompt as soon as it is computed.</summary>
    public void StorePrompt(OnnxSequence sequence)
    {
        if (sequence is { Scope: not null, IsPromptStored: false })
        {
            sequence.IsPromptStored = true;
            memory.CountLookUp(sequence.CachedTokens);
            Store(sequence);
        }
    }

    /// <summary>Stores all complete blocks of a sequence.</summary>
    public void Store(OnnxSequence sequence)
    {
        if (sequence.Scope is null)
        {
            return;
        }

        now = memory.NextUse();
        ReadOnlySpan<int> tokens = CollectionsMarshal.AsSpan(sequence.Tokens);
        List<PrefixBlock> path;
        lock (memory.Gate)
        {
            // The existing blocks are marked as used first, so that storing the later ones does not evict them.
            path = Find(sequence.Scope, tokens);
            Touch(path);
        }

        while (tokens.Length - (path.Count * BlockLength) >= BlockLength && memory.TryCache(BlockBytes, now))
        {
            path.Add(Copy(sequence, Key(sequence.Scope, path, tokens), path.Count * BlockLength));
        }

        lock (memory.Gate)
        {
            Touch(path);
        }
    }

    /// <summary>Removes an evicted block. The memory's gate is held.</summary>
    public void Forget(PrefixBlock block) => blocks.Remove(block.Key);

    public void Dispose()
    {
        lock (memory.Gate)
        {
            foreach (PrefixBlock block in blocks.Values)
            {
                memory.Remove(block);
            }

            blocks.Clear();
        }
    }

    private static PrefixKey Key(PrefixScope scope, List<PrefixBlock> path, ReadOnlySpan<int> tokens) =>
        new(path.Count == 0 ? scope : path[^1], tokens.Slice(path.Count * BlockLength, BlockLength).ToArray());

    /// <summary>Makes room for the cached beginning of a prompt, and pins its blocks.</summary>
    private (List<PrefixBlock> Path, int Length) Pin(OnnxSequence sequence, int maxLength)
    {
        int most = int.MaxValue;
        while (true)
        {
            lock (memory.Gate)
            {
                List<PrefixBlock> path = Find(sequence.Scope!, sequence.Prompt.Span);
                if (path.Count >= most)
                {
                    path.ForEach(static block => block.Pins++);
                    return (path, Math.Min(path.Count * BlockLength, maxLength));
                }

                most = path.Count;
            }

            // Making room for the copy may evict blocks of the prefix itself, so they are looked up again.
            cache.Extend(sequence, Math.Min(most * BlockLength, maxLength));
        }
    }

    private List<PrefixBlock> Find(PrefixScope scope, ReadOnlySpan<int> tokens)
    {
        List<PrefixBlock> path = [];
        while (tokens.Length - (path.Count * BlockLength) >= BlockLength && blocks.TryGetValue(Key(scope, path, tokens), out PrefixBlock? next))
        {
            path.Add(next);
        }

        return path;
    }

    private PrefixBlock Copy(OnnxSequence sequence, PrefixKey key, int position)
    {
        NativeTensor data = new(cache.Type);
        try
        {
            data.Reserve(BlockBytes / data.ElementSize);
            PrefixBlock block = new(this, key, data, BlockBytes) { UsedAt = now };
            ForEachHead(block, (copy, tensor, head) => cache.Bytes(sequence, tensor, head, position, BlockLength).CopyTo(copy));
            lock (memory.Gate)
            {
                memory.Add(block);
                return blocks[key] = block;
            }
        }
        catch
        {
            data.Dispose();
            memory.GiveBack(BlockBytes);
            throw;
        }
    }

    private void Touch(List<PrefixBlock> path)
    {
        for (int i = path.Count - 1; i >= 0; i--)
        {
            path[i].UsedAt = now;
            memory.Touch(path[i]);
        }
    }

    private void ForEachHead(PrefixBlock block, HeadAction action)
    {
        long elements = BlockBytes / block.Data.ElementSize / cache.Size.Tensors / cache.Heads;
        for (int tensor = 0; tensor < cache.Size.Tensors; tensor++)
        {
            for (int head = 0; head < cache.Heads; head++)
            {
                action(block.Data.Bytes(((tensor * cache.Heads) + head) * elements, elements), tensor, head);
            }
        }
    }

    private delegate void HeadAction(Span<byte> block, int tensor, int head);
}

/// <summary>The keys and values of a few tokens after a given prefix: [tensor, head, token, head size].</summary>
internal sealed class PrefixBlock : IDisposable
{
    public PrefixBlock(PrefixCache owner, PrefixKey key, NativeTensor data, long bytes)
    {
        (Owner, Key, Data, Bytes) = (owner, key, data, bytes);
        Place = new(this);
    }

    public PrefixCache Owner { get; }

    public PrefixKey Key { get; }

    public NativeTensor Data { get; }

    public long Bytes { get; }

    /// <summary>The place in the order of use.</summary>
    public LinkedListNode<PrefixBlock> Place { get; }

    /// <summary>The number of the last look-up or store that used the block.</summary>
    public long UsedAt { get; set; }

    /// <summary>The number of copies that are being made of it. Only a block without any is evicted.</summary>
    public int Pins { get; set; }

    public void Dispose() => Data.Dispose();
}

/// <summary>The scope of cached prefixes. Texts share keys and values only within a scope of the same model.</summary>
/// <param name="Tenant">The tenant of the request. Tenants share no prefixes, since the time of an answer would reveal another tenant's texts.</param>
/// <param name="Patch">The hash of the patch with its scales; empty without a patch.</param>
/// <param name="FirstPosition">The position of a text's first token. Keys with different rotary positions are different keys of the same tokens.</param>
internal sealed record PrefixScope(string Tenant, string Patch, int FirstPosition);

/// <summary>The key of a block. Keys are compared completely, since equal hashes could return another text's values.</summary>
/// <param name="Before">The previous block, or the <see cref="PrefixScope"/> at the beginning of a text.</param>
internal readonly record struct PrefixKey(object Before, int[] Tokens)
{
    public bool Equals(PrefixKey other) => Before.Equals(other.Before) && Tokens.AsSpan().SequenceEqual(other.Tokens);

    public override int GetHashCode()
    {
        HashCode hash = default;
        hash.Add(Before);
        hash.AddBytes(MemoryMarshal.AsBytes(Tokens.AsSpan()));
        return hash.ToHashCode();
    }
}
