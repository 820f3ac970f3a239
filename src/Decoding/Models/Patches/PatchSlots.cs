using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Binds the patch of each sequence to its row of a run. A row is written only if its patch changes, for example when a sequence starts or moves. A run has
/// the rank that its rows need.
/// </summary>
/// <param name="nodes">The nodes that have slots, with their indices in a <see cref="FittedPatch"/>.</param>
internal sealed class PatchSlots(IEnumerable<(int Index, LinearNode Node)> nodes) : IDisposable
{
    // Ranks between these values share buffers, so that many different ranks do not fill the memory.
    private const int RankUnit = 8;

    private readonly Slot[] slots = [.. nodes.Select(node => new Slot(node.Index, node.Node))];

    // The numbers of patches instead of references, so that a binding does not keep a patch in memory.
    private (int First, long[] Patches) bound = (0, []);

    /// <param name="rows">The sequences in the order of the run's rows, next to each other in their cache.</param>
    public void Bind(OrtIoBinding binding, List<OnnxSequence> rows)
    {
        int first = Math.Max(0, rows[0].Row);
        if (first == bound.First && rows.Count == bound.Patches.Length && rows.Zip(bound.Patches).All(pair => NumberOf(pair.First) == pair.Second))
        {
            return;
        }

        bound = (first, [.. rows.Select(NumberOf)]);
        foreach (Slot slot in slots)
        {
            int rank = rows.Max(row => row.Fitted?.Pairs[slot.Index]?.Rank ?? 0);
            SlotRows buffer = slot.Of(Math.Max(1, (rank + RankUnit - 1) / RankUnit) * RankUnit);
            buffer.Reserve(first + rows.Count);
            for (int i = 0; i < rows.Count; i++)
            {
                buffer.Write(first + i, rows[i].Fitted?.Pairs[slot.Index]);
            }

            buffer.Bind(binding, first, rows.Count);
        }
    }

    public void Dispose()
    {
        foreach (Slot slot in slots)
        {
            slot.Dispose();
        }
    }

    private static long NumberOf(OnnxSequence row) => row.Fitted?.Number ?? 0;

    private sealed class Slot(int index, LinearNode node) : IDisposable
    {
        private readonly Dictionary<int, SlotRows> byRank = [];

        public int Index => index;

        public SlotRows Of(int rank) => byRank.TryGetValue(rank, out SlotRows? rows) ? rows : byRank[rank] = new(node, rank);

        public void Dispose()
        {
            foreach (SlotRows rows in byRank.Values)
            {
                rows.Dispose();
            }
        }
    }
}

/// <summary>The matrices A [rows, inputs, rank] and B [rows, rank, outputs] of one slot. Pairs of a smaller rank than <paramref name="rank"/> are padded with zeros.</summary>
internal sealed class SlotRows(LinearNode node, int rank) : IDisposable
{
    private readonly NativeTensor a = new(TensorElementType.Float);
    private readonly NativeTensor b = new(TensorElementType.Float);

    // The numbers of pairs instead of references, so that a slot does not keep a pair in memory; 0 for none.
    private long[] held = [];

    /// <summary>Makes room for rows. After growth all rows are empty and earlier views are invalid.</summary>
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

    /// <summary>Writes a pair to a row; null writes a row without an update. Nothing happens if the row already has the pair.</summary>
    public void Write(int row, SlotPair? pair)
    {
        long number = pair?.Number ?? 0;
        if (held[row] == number)
        {
            return;
        }

        // Old values of A have no effect, since B is zero there.
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
