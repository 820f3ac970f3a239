using Microsoft.ML.OnnxRuntime;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Binds to each row of a run the patch of its sequence. A row is written when its patch changes, as when a sequence comes or moves, and not
/// else; a run takes the rank that its rows need.
/// </summary>
/// <param name="nodes">That have slots, with their indices in a <see cref="FittedPatch"/>.</param>
internal sealed class PatchSlots(IEnumerable<(int Index, LinearNode Node)> nodes) : IDisposable
{
    // Ranks in between share buffers, so that a mix of them does not fill memory.
    private const int RankUnit = 8;

    private readonly Slot[] slots = [.. nodes.Select(node => new Slot(node.Index, node.Node))];

    // By number, so that no patch is kept in memory for having been bound.
    private (int First, long[] Patches) bound = (0, []);

    /// <param name="rows">In the order of the run's rows, neighbours in their cache.</param>
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
