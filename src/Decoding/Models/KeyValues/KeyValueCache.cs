using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ProxyTune.Checkpoints.Patches;

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
        if (!Account.TryReserve(Size.Bytes([.. sequences.Select(s => s.MaxLength), sequence.MaxLength])))
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
        Account.TryReserve(Size.Bytes([.. sequences.Select(s => s.MaxLength)]));
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

/// <summary>A sequence of one ONNX model: its tokens, and the place of their keys and values.</summary>
/// <param name="maxLength">The most positions that it may have.</param>
internal sealed class OnnxSequence(PrefixCache prefixes, ReadOnlyMemory<int> prompt, int maxLength, IReadOnlyList<int> endOfTextIds) : Sequence
{
    public ReadOnlyMemory<int> Prompt => prompt;

    /// <summary>What is added to the weights for this sequence, or null.</summary>
    public PatchSum? Patch { get; init; }

    /// <summary>The same in the graph's layout.</summary>
    public FittedPatch? Fitted { get; init; }

    /// <summary>The scope of earlier texts that it may begin with; null for none.</summary>
    public PrefixScope? Scope { get; init; }

    public int MaxLength => maxLength;

    /// <summary>Prompt tokens that are not computed yet.</summary>
    public ReadOnlyMemory<int> PromptLeft => prompt[Math.Min(Computed, prompt.Length)..];

    /// <summary>Tokens that have keys and values.</summary>
    public List<int> Tokens { get; } = [];

    public int Computed => Tokens.Count;

    /// <summary>Tokens that the next run appends.</summary>
    public ReadOnlyMemory<int> Input { get; set; }

    /// <summary>The first row of the batch that gets logits of the next run.</summary>
    public int LogitsRow { get; set; }

    /// <summary>How many of its newest positions get a row.</summary>
    public int LogitsRows { get; set; }

    /// <summary>Row in a shared buffer.</summary>
    public int Row { get; set; } = -1;

    /// <summary>Tensors of exactly <see cref="Computed"/> positions, where the graph cannot share a buffer.</summary>
    public OrtValue[] Past { get; set; } = [];

    /// <summary>Whether its prompt is there for others that begin like it.</summary>
    public bool IsPromptStored { get; set; }

    public bool IsDisposed { get; private set; }

    public override int Length => Math.Max(Computed, prompt.Length);

    public override int Room => maxLength - Length;

    public override int Pending => PromptLeft.Length;

    public override IReadOnlyList<int> EndOfTextIds => endOfTextIds;

    public override void Rewind(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Length - prompt.Length);
        if (count > 0)
        {
            prefixes.Cache.Truncate(this, Computed - count);
        }
    }

    /// <summary>The sequence that a segment appends to, if it can.</summary>
    public static OnnxSequence Of(Segment segment)
    {
        OnnxSequence sequence = (OnnxSequence)segment.Sequence;
        ObjectDisposedException.ThrowIf(sequence.IsDisposed, sequence);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(segment.Tokens.Length, sequence.Room, nameof(segment));
        ArgumentOutOfRangeException.ThrowIfLessThan(segment.Rows, 1, nameof(segment));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(segment.Rows, sequence.Pending + segment.Tokens.Length, nameof(segment));
        return sequence;
    }

    /// <summary>Makes what is left of the prompt, and the segment's tokens, the next run's input.</summary>
    /// <param name="row">The first row of the batch that gets its logits.</param>
    public void Take(Segment segment, int row)
    {
        Input = Pending == 0 ? segment.Tokens
            : segment.Tokens.IsEmpty ? PromptLeft
            : (int[])[.. PromptLeft.Span, .. segment.Tokens.Span];
        (LogitsRow, LogitsRows) = (row, segment.Rows);
    }

    /// <summary>The input is computed.</summary>
    public void Advance() => Tokens.AddRange(Input.Span);

    public void Truncate(int length) => CollectionsMarshal.SetCount(Tokens, length);

    /// <summary>The prompt's beginning was found.</summary>
    public void Restored(int length)
    {
        CachedTokens = length;
        Tokens.AddRange(prompt.Span[..length]);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !IsDisposed)
        {
            IsDisposed = true;
            prefixes.Store(this);
            prefixes.Cache.Remove(this);
        }
    }
}
