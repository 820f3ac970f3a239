using Microsoft.ML.OnnxRuntime;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Keys and values as tensors of the exact length, one set per sequence, for graphs that cannot share a buffer: each run reads the past
/// and writes a longer present. One sequence per run.
/// </summary>
internal sealed class GrowingCache(DecoderSession decoder) : KeyValueCache
{
    private OrtValue[] present = [];

    public override bool Batches => false;

    public override void Add(OnnxSequence sequence) => sequence.Past = Allocate(0);

    public override void Remove(OnnxSequence sequence)
    {
        Free(sequence.Past);
        sequence.Past = [];
    }

    public override void Bind(OrtIoBinding binding, List<OnnxSequence> rows, int positions)
    {
        Free(present);
        present = Allocate(rows[0].Computed + positions);
        for (int i = 0; i < present.Length; i++)
        {
            binding.BindInput(decoder.CacheNames[i].Past, rows[0].Past[i]);
            binding.BindOutput(decoder.CacheNames[i].Present, present[i]);
        }
    }

    public override void Advance(List<OnnxSequence> rows, int positions)
    {
        Free(rows[0].Past);
        rows[0].Past = present;
        rows[0].Computed += positions;
        present = [];
    }

    public override void Truncate(OnnxSequence sequence, int length)
    {
        OrtValue[] shorter = Allocate(length);
        int heads = decoder.Cache.Heads;
        for (int i = 0; i < shorter.Length; i++)
        {
            Span<byte> from = sequence.Past[i].GetTensorMutableRawData(), to = shorter[i].GetTensorMutableRawData();
            for (int head = 0; head < heads; head++)
            {
                int size = to.Length / heads;
                from.Slice(head * (from.Length / heads), size).CopyTo(to[(head * size)..]);
            }
        }

        Free(sequence.Past);
        sequence.Past = shorter;
        sequence.Computed = length;
    }

    public override void Dispose()
    {
        Free(present);
        present = [];
    }

    private OrtValue[] Allocate(int length) =>
    [
        .. decoder.CacheNames.Select(_ => OrtValue.CreateAllocatedTensorValue(
            OrtAllocator.DefaultInstance, decoder.Cache.Type, [1, decoder.Cache.Heads, length, decoder.Cache.HeadSize])),
    ];

    private static void Free(OrtValue[] values)
    {
        foreach (OrtValue value in values)
        {
            value.Dispose();
        }
    }
}
