using System.Runtime.InteropServices;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>Holds the keys and values of a model's sequences and binds them to runs.</summary>
internal abstract class KeyValueCache : IDisposable
{
    private readonly List<OnnxSequence> sequences = [];

    protected KeyValueCache(DecoderSession decoder, KeyValueMemory memory)
    {
        Decoder = decoder;
        Size = SizeOf(decoder, memory.Limit);
        Account = new(memory);
    }

    /// <summary>Held during every call of the model.</summary>
    public Lock Gate { get; } = new();

    public TensorElementType Type => Decoder.Cache.Type;

    public int Heads => Decoder.Cache.Heads;

    public KeyValueSize Size { get; }

    /// <summary>Whether sequences of different lengths can append one token each in one run.</summary>
    public abstract bool Batches { get; }

    protected DecoderSession Decoder { get; }

    protected KeyValueAccount Account { get; }

    protected IReadOnlyList<OnnxSequence> Sequences => sequences;

    /// <summary>The sequences in the cache.</summary>
    public int Count => sequences.Count;

    /// <summary>Adds a sequence and reserves the memory for its maximal length.</summary>
    /// <returns>False if there is not enough memory.</returns>
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
    /// Binds past and present of a run over these sequences and reorders the list to the order of the run's rows. Each sequence then has room for
    /// <paramref name="positions"/> more positions.
    /// </summary>
    public abstract void Bind(OrtIoBinding binding, List<OnnxSequence> rows, int positions);

    /// <summary>Called when the binding is no longer used.</summary>
    public virtual void Forget(OrtIoBinding binding)
    {
    }

    /// <summary>Called after a successful run. Its sequences are now longer by their input.</summary>
    public abstract void Advance(List<OnnxSequence> rows);

    public abstract void Truncate(OnnxSequence sequence, int length);

    /// <summary>Sets the length of an empty sequence. The caller must then fill <see cref="Bytes"/>.</summary>
    public abstract void Extend(OnnxSequence sequence, int length);

    /// <summary>The keys or values of one head at consecutive positions.</summary>
    /// <param name="tensor">The index of the tensor in <see cref="DecoderSession.CacheNames"/>.</param>
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
}

/// <summary>A sequence of one ONNX model: its tokens and the place of their keys and values.</summary>
/// <param name="maxLength">The largest number of positions of the sequence.</param>
internal sealed class OnnxSequence(PrefixCache prefixes, ReadOnlyMemory<int> prompt, int maxLength, IReadOnlyList<int> endOfTextIds) : Sequence
{
    public ReadOnlyMemory<int> Prompt => prompt;

    /// <summary>The patch of this sequence, or null.</summary>
    public PatchSum? Patch { get; init; }

    /// <summary>The patch in the graph's layout, or null.</summary>
    public FittedPatch? Fitted { get; init; }

    /// <summary>The position of the first token. It is not 0 in a sequence with the rotary positions of long texts.</summary>
    public int FirstPosition { get; init; }

    /// <summary>The scope of the prefix cache that the sequence may use; null for none.</summary>
    public PrefixScope? Scope { get; init; }

    public int MaxLength => maxLength;

    /// <summary>The prompt tokens that are not computed yet.</summary>
    public ReadOnlyMemory<int> PromptLeft => prompt[Math.Min(Computed, prompt.Length)..];

    /// <summary>The number of tokens that have keys and values.</summary>
    public List<int> Tokens { get; } = [];

    public int Computed => Tokens.Count;

    /// <summary>The tokens that the next run appends.</summary>
    public ReadOnlyMemory<int> Input { get; set; }

    /// <summary>The index of the first row of the batch for the logits of the next run.</summary>
    public int LogitsRow { get; set; }

    /// <summary>The number of newest positions whose logits become rows.</summary>
    public int LogitsRows { get; set; }

    /// <summary>The row in a shared buffer.</summary>
    public int Row { get; set; } = -1;

    /// <summary>The number of positions for which the row has memory.</summary>
    public int Width { get; set; }

    /// <summary>The tensors of exactly <see cref="Computed"/> positions, for graphs that cannot share a buffer.</summary>
    public OrtValue[] Past { get; set; } = [];

    /// <summary>Whether the prompt is in the prefix cache.</summary>
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
            lock (prefixes.Cache.Gate)
            {
                prefixes.Cache.Truncate(this, Computed - count);
            }
        }
    }

    /// <summary>Returns the sequence of a segment after checks.</summary>
    public static OnnxSequence Of(Segment segment)
    {
        OnnxSequence sequence = (OnnxSequence)segment.Sequence;
        ObjectDisposedException.ThrowIf(sequence.IsDisposed, sequence);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(segment.Tokens.Length, sequence.Room, nameof(segment));
        ArgumentOutOfRangeException.ThrowIfLessThan(segment.Rows, 1, nameof(segment));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(segment.Rows, sequence.Pending + segment.Tokens.Length, nameof(segment));
        return sequence;
    }

    /// <summary>Sets the input of the next run: the rest of the prompt, then the segment's tokens.</summary>
    /// <param name="row">The index of the first row of the batch for its logits.</param>
    public void Take(Segment segment, int row)
    {
        Input = Pending == 0 ? segment.Tokens
            : segment.Tokens.IsEmpty ? PromptLeft
            : (int[])[.. PromptLeft.Span, .. segment.Tokens.Span];
        (LogitsRow, LogitsRows) = (row, segment.Rows);
    }

    /// <summary>Called when the input is computed.</summary>
    public void Advance() => Tokens.AddRange(Input.Span);

    public void Truncate(int length) => CollectionsMarshal.SetCount(Tokens, length);

    /// <summary>Called when the prefix cache had the beginning of the prompt.</summary>
    public void Restored(int length)
    {
        CachedTokens = length;
        Tokens.AddRange(prompt.Span[..length]);
    }

    protected override void Dispose(bool disposing)
    {
        if (!disposing || IsDisposed)
        {
            return;
        }

        lock (prefixes.Cache.Gate)
        {
            IsDisposed = true;
            try
            {
                prefixes.Store(this);
            }
            finally
            {
                prefixes.Cache.Remove(this);
            }
        }
    }
}
