using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace ProxyTune.Decoding.Models;

/// <summary>Where keys and values of a model's sequences live, and how a run reaches them.</summary>
internal abstract class KeyValueCache : IDisposable
{
    private readonly List<OnnxSequence> sequences = [];

    protected KeyValueCache(DecoderSession decoder, KeyValueMemory memory)
    {
        Decoder = decoder;
        Size = SizeOf(decoder, memory.Limit);
        Account = memory.Open(Trim);
    }

    public TensorElementType Type => Decoder.Cache.Type;

    public int Heads => Decoder.Cache.Heads;

    public KeyValueSize Size { get; }

    /// <summary>Whether sequences of different lengths can append one token each in one run.</summary>
    public abstract bool Batches { get; }

    protected DecoderSession Decoder { get; }

    protected KeyValueAccount Account { get; }

    protected IReadOnlyList<OnnxSequence> Sequences => sequences;

    /// <summary>Sequences that it holds.</summary>
    public int Count => sequences.Count;

    /// <summary>Takes a sequence in and reserves the memory that it can come to need.</summary>
    /// <returns>Whether there is memory.</returns>
    public bool TryAdd(OnnxSequence sequence)
    {
        if (!Account.TryReserve(Size.Bytes([.. sequences.Select(s => s.Most), sequence.Most])))
        {
            return false;
        }

        sequences.Add(sequence);
        Place(sequence);
        return true;
    }

    public void Remove(OnnxSequence sequence)
    {
        Displace(sequence);
        sequences.Remove(sequence);
        Account.TryReserve(Size.Bytes([.. sequences.Select(s => s.Most)]));
    }

    /// <summary>
    /// Binds past and present of a run over these sequences, reordering the list to the order of its rows. Each has room for
    /// <paramref name="positions"/> more positions then.
    /// </summary>
    public abstract void Bind(OrtIoBinding binding, List<OnnxSequence> rows, int positions);

    /// <summary>The binding will not be used again.</summary>
    public virtual void Forget(OrtIoBinding binding)
    {
    }

    /// <summary>The run succeeded: its sequences are longer by their input.</summary>
    public abstract void Advance(List<OnnxSequence> rows);

    public abstract void Truncate(OnnxSequence sequence, int length);

    /// <summary>Makes an empty sequence as long as that; <see cref="Bytes"/> has to be filled then.</summary>
    public abstract void Extend(OnnxSequence sequence, int length);

    /// <summary>Keys or values of one head at neighbouring positions, one after another.</summary>
    /// <param name="tensor">By <see cref="DecoderSession.CacheNames"/>.</param>
    public abstract Span<byte> Bytes(OnnxSequence sequence, int tensor, int head, int position, int count);

    public virtual void Dispose() => Account.Close();

    protected abstract void Place(OnnxSequence sequence);

    private static KeyValueSize SizeOf(DecoderSession decoder, long limit) => new(
        decoder.CacheNames.Count,
        (long)decoder.Cache.Heads * decoder.Cache.HeadSize * NativeTensor.SizeOf(decoder.Cache.Type),
        Math.Min(decoder.Config.ContextLength, decoder.Cache.FixedWidth ?? int.MaxValue),
        decoder.SharesCache,
        decoder.Cache.FixedWidth,
        limit);

    protected abstract void Displace(OnnxSequence sequence);

    /// <summary>Gives back what is allocated beyond the reservation.</summary>
    protected virtual void Trim()
    {
    }
}
