using Microsoft.ML.OnnxRuntime;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Keys and values as tensors of the exact length, one set per sequence, for graphs that cannot share a buffer: each run reads the past
/// and writes a longer present. One sequence per run.
/// </summary>
internal sealed class GrowingCache(DecoderSession decoder, KeyValueMemory memory) : KeyValueCache(decoder, memory)
{
    private OrtValue[] present = [];

    public override bool Batches => false;

    public override void Bind(OrtIoBinding binding, List<OnnxSequence> rows, int positions)
    {
        Discard();
        present = Allocate(rows[0].Computed + positions);
        for (int i = 0; i < present.Length; i++)
        {
            binding.BindInput(Decoder.CacheNames[i].Past, rows[0].Past[i]);
            binding.BindOutput(Decoder.CacheNames[i].Present, present[i]);
        }
    }

    public override void Advance(List<OnnxSequence> rows)
    {
        OrtValue[] longer = present;
        present = [];
        Replace(rows[0], longer);
        rows[0].Advance();
    }

    public override void Truncate(OnnxSequence sequence, int length)
    {
        OrtValue[] shorter = Allocate(length);
        for (int i = 0; i < shorter.Length; i++)
        {
            Span<byte> from = sequence.Past[i].GetTensorMutableRawData(), to = shorter[i].GetTensorMutableRawData();
            for (int head = 0; head < Heads; head++)
            {
                int size = to.Length / Heads;
                from.Slice(head * (from.Length / Heads), size).CopyTo(to[(head * size)..]);
            }
        }

        sequence.Truncate(length);
        Replace(sequence, shorter);
    }

    public override void Extend(OnnxSequence sequence, int length) => Replace(sequence, Allocate(length));

    public override Span<byte> Bytes(OnnxSequence sequence, int tensor, int head, int position, int count)
    {
        Span<byte> all = sequence.Past[tensor].GetTensorMutableRawData();
        int ofHead = all.Length / Heads, ofToken = (int)(Size.TensorBytes / Heads);
        return all.Slice((head * ofHead) + (position * ofToken), count * ofToken);
    }

    public override void Dispose()
    {
        Discard();
        base.Dispose();
    }

    protected override void Place(OnnxSequence sequence) => sequence.Past = Allocate(0);

    protected override void Displace(OnnxSequence sequence) => Replace(sequence, []);

    private OrtValue[] Allocate(int length)
    {
        Account.Use(Account.Used + (length * Size.TokenBytes));
        return
        [
            .. Decoder.CacheNames.Select(_ => OrtValue.CreateAllocatedTensorValue(
                OrtAllocator.DefaultInstance, Decoder.Cache.Type, [1, Heads, length, Decoder.Cache.HeadSize])),
        ];
    }

    private void Replace(OnnxSequence sequence, OrtValue[] other)
    {
        Free(sequence.Past);
        sequence.Past = other;
    }

    /// <summary>Disposes the outputs of a failed run.</summary>
    private void Discard()
    {
        Free(present);
        present = [];
    }

    private void Free(OrtValue[] values)
    {
        foreach (OrtValue value in values)
        {
            Account.Use(Account.Used - value.GetTensorSizeInBytes());
            value.Dispose();
        }
    }
}
