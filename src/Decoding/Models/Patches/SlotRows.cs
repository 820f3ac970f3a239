using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>One slot's A [rows, inputs, rank] and B [rows, rank, outputs], for ranks up to <paramref name="rank"/>: what is of a smaller rank is filled up with zeros.</summary>
internal sealed class SlotRows(LinearNode node, int rank) : IDisposable
{
    private readonly NativeTensor a = new(TensorElementType.Float);
    private readonly NativeTensor b = new(TensorElementType.Float);

    // Numbers of pairs, which are not kept in memory for it; 0 for none.
    private long[] held = [];

    /// <summary>Makes room; when it has to grow, all rows are empty and earlier views invalid.</summary>
    public void Reserve(int rows)
    {
        if (rows <= held.Length)
        {
            return;
        }

        held = new long[Math.Max(rows, 2 * held.Length)];
        a.Reserve((long)held.Length * node.Inputs * rank);
        b.Reserve((long)held.Length * rank * node.Outputs);
    }

    /// <summary>Does nothing where the row has that pair already; null for a row without an update.</summary>
    public void Write(int row, SlotPair? pair)
    {
        long number = pair?.Number ?? 0;
        if (held[row] == number)
        {
            return;
        }

        // Where B is zero, whatever A has left over counts for nothing.
        Span<float> rowOfB = b.Span<float>((long)row * rank * node.Outputs, rank * node.Outputs);
        int used = pair?.B.Length ?? 0;
        pair?.B.CopyTo(rowOfB);
        rowOfB[used..].Clear();
        for (int i = 0; pair is not null && i < node.Inputs; i++)
        {
            pair.A.AsSpan(i * pair.Rank, pair.Rank).CopyTo(a.Span<float>((((long)row * node.Inputs) + i) * rank, pair.Rank));
        }

        held[row] = number;
    }

    public void Bind(OrtIoBinding binding, int first, int count)
    {
        (string nameOfA, string nameOfB) = LoraSlots.Inputs(node);
        using OrtValue viewOfA = a.View((long)first * node.Inputs * rank, count, node.Inputs, rank);
        using OrtValue viewOfB = b.View((long)first * rank * node.Outputs, count, rank, node.Outputs);
        binding.BindInput(nameOfA, viewOfA);
        binding.BindInput(nameOfB, viewOfB);
    }

    public void Dispose()
    {
        a.Dispose();
        b.Dispose();
    }
}
