using System.Runtime.InteropServices;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Keys and values of one model's earlier texts, in blocks of tokens that form a tree: texts with a common beginning share the blocks of that
/// beginning. A sequence copies the blocks that it finds, and whole blocks that it has computed are copied from it.
/// </summary>
/// <remarks>A text's later blocks are marked as used before its earlier ones, so the least recently used block never has another behind it.</remarks>
internal sealed class PrefixCache(KeyValueCache cache, KeyValueMemory memory) : IDisposable
{
    /// <summary>Tokens of a block.</summary>
    public const int BlockLength = 16;

    private readonly Dictionary<PrefixKey, PrefixBlock> blocks = [];
    private long now;

    /// <summary>The live sequences' keys and values.</summary>
    public KeyValueCache Cache => cache;

    private long BlockBytes => BlockLength * cache.Size.TokenBytes;

    /// <summary>Gives a sequence that has computed nothing the known beginning of its prompt.</summary>
    /// <param name="maxLength">Positions at most.</param>
    public void Restore(OnnxSequence sequence, int maxLength)
    {
        if (sequence.Scope is null || maxLength < 1)
        {
            return;
        }

        now = memory.NextUse();
        List<PrefixBlock> path;
        int length;
        do
        {
            path = Find(sequence.Scope, sequence.Prompt.Span);
            length = Math.Min(path.Count * BlockLength, maxLength);
            cache.Extend(sequence, length);

            // The prefix itself may have had to make room for its copy.
        }
        while (Find(sequence.Scope, sequence.Prompt.Span).Count < path.Count);
        for (int i = 0; i * BlockLength < length; i++)
        {
            int tokens = Math.Min(BlockLength, length - (i * BlockLength));
            ForEachHead(path[i], (block, tensor, head) =>
                block[..(block.Length / BlockLength * tokens)].CopyTo(cache.Bytes(sequence, tensor, head, i * BlockLength, tokens)));
        }

        sequence.Restored(length);
        Touch(path);
    }

    /// <summary>Keeps a prompt for others that begin like it, as soon as it is complete.</summary>
    public void StorePrompt(OnnxSequence sequence)
    {
        if (sequence is { Scope: not null, IsPromptStored: false })
        {
            sequence.IsPromptStored = true;
            memory.CountLookUp(sequence.CachedTokens);
            Store(sequence);
        }
    }

    /// <summary>Keeps what a sequence has computed, but for a last incomplete block.</summary>
    public void Store(OnnxSequence sequence)
    {
        if (sequence.Scope is null)
        {
            return;
        }

        now = memory.NextUse();
        ReadOnlySpan<int> tokens = CollectionsMarshal.AsSpan(sequence.Tokens);
        List<PrefixBlock> path = Find(sequence.Scope, tokens);

        // First of all, so that they do not make room for what comes behind them.
        Touch(path);
        while (tokens.Length - (path.Count * BlockLength) >= BlockLength && memory.TryCache(BlockBytes, now))
        {
            path.Add(Copy(sequence, Key(sequence.Scope, path, tokens), path.Count * BlockLength));
        }

        Touch(path);
    }

    /// <summary>The block gives way to others.</summary>
    public void Forget(PrefixBlock block) => blocks.Remove(block.Key);

    public void Dispose()
    {
        foreach (PrefixBlock block in blocks.Values)
        {
            memory.Remove(block);
        }

        blocks.Clear();
    }

    private static PrefixKey Key(PrefixScope scope, List<PrefixBlock> path, ReadOnlySpan<int> tokens) =>
        new(path.Count == 0 ? scope : path[^1], tokens.Slice(path.Count * BlockLength, BlockLength).ToArray());

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
        data.Reserve(BlockBytes / data.ElementSize);
        PrefixBlock block = new(this, key, data, BlockBytes) { UsedAt = now };
        ForEachHead(block, (copy, tensor, head) => cache.Bytes(sequence, tensor, head, position, BlockLength).CopyTo(copy));
        memory.Add(block);
        return blocks[key] = block;
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

/// <summary>Keys and values of a few tokens that follow certain others: [tensor, head, token, head size].</summary>
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

    /// <summary>Its place in the order of use.</summary>
    public LinkedListNode<PrefixBlock> Place { get; }

    /// <summary>The number of the look-up or store that used it last.</summary>
    public long UsedAt { get; set; }

    public void Dispose() => Data.Dispose();
}

/// <summary>What texts must share to share keys and values, beside the model's weights and the tokens.</summary>
/// <param name="Tenant">The tenant that asks. Another tenant must not learn from the time of an answer what was asked before.</param>
/// <param name="Patch">Hash of what is added to the weights, with its scales; empty for nothing.</param>
internal sealed record PrefixScope(string Tenant, string Patch);

/// <summary>Compared as a whole and not by a hash alone, so that no collision hands out another text's values.</summary>
/// <param name="Before">The block before, or at the beginning of the text its <see cref="PrefixScope"/>.</param>
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
