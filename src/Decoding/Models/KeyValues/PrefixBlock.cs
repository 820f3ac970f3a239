using System.Runtime.InteropServices;

namespace ProxyTune.Decoding.Models;

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
/// <param name="Tenant">On whose behalf; others shall not even learn from the time an answer takes what was asked before.</param>
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
