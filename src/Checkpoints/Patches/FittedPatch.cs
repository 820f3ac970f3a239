using System.Numerics.Tensors;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>A patch in the layout of a graph's linear nodes. Each node has one pair, even if it packs several weights.</summary>
internal sealed class FittedPatch
{
    private static long numbers;

    private FittedPatch(SlotPair?[] pairs) => Pairs = pairs;

    /// <summary>A number that no other instance has, from 1.</summary>
    public long Number { get; } = Interlocked.Increment(ref numbers);

    /// <summary>The pairs by the index of the node; null for a node that the patch does not change.</summary>
    public IReadOnlyList<SlotPair?> Pairs { get; }

    /// <param name="nodes">The linear nodes of the graph. Every target is a part of one of them.</param>
    /// <exception cref="EngineException">InvalidModelFolder: a pair has another shape than the model's weight; InvalidValue: a scaled value overflows.</exception>
    public static FittedPatch Of(PatchSum sum, IReadOnlyList<LinearNode> nodes) => new([.. nodes.Select(node => Pair(sum, node))]);

    private static SlotPair? Pair(PatchSum sum, LinearNode node)
    {
        (LinearPart Part, WeightedPatch Patch, LowRankPair Pair)[] summands = node.Parts
            .SelectMany(part => sum.Patches, (Part, Patch) => (Part, Patch, Pair: Patch.Patch.Pair(Part.Target)!))
            .Where(summand => summand.Pair is not null)
            .ToArray();
        foreach ((LinearPart part, WeightedPatch patch, _) in summands)
        {
            PatchMerge.CheckShape(patch.Patch, part.Target, [OfModel(part.Outputs, part.OutputHeads), OfModel(node.Inputs, part.InputHeads)]);
        }

        summands = [.. summands.Where(summand => summand.Patch.Weight != 0)];
        if (summands.Length == 0)
        {
            return null;
        }

        SlotPair slot = new(summands.Sum(summand => summand.Pair.Rank), node);
        int first = 0;
        foreach ((LinearPart part, WeightedPatch patch, LowRankPair pair) in summands)
        {
            Add(slot, first, part, pair, patch.Weight * pair.Scale);
            first += pair.Rank;
        }

        return TensorPrimitives.IsFiniteAll<float>(slot.B)
            ? slot
            : throw new EngineException(EngineError.InvalidValue, $"The weights of {sum.Name} make '{node.Parts[0].Target}' overflow.", "patches");
    }

    private static int OfModel(int dimensions, HeadLayout? heads) => heads is { } layout ? dimensions / layout.Padded * layout.Size : dimensions;

    private static void Add(SlotPair slot, int first, LinearPart part, LowRankPair pair, double factor)
    {
        (int rank, float[] a, float[] b) = pair;
        for (int r = 0; r < rank; r++)
        {
            for (int i = 0; i < pair.Inputs; i++)
            {
                int input = part.InputHeads?.Index(i) ?? i;
                slot.A[(input * slot.Rank) + first + r] = a[(r * pair.Inputs) + i];
            }

            for (int i = 0; i < pair.Outputs; i++)
            {
                int output = part.First + (part.OutputHeads?.Index(i) ?? i);
                slot.B[((first + r) * slot.Outputs) + output] = (float)(factor * b[(i * rank) + r]);
            }
        }
    }
}

/// <summary>The content of one row of one slot: W x becomes W x + B (A x).</summary>
internal sealed class SlotPair(int rank, LinearNode node)
{
    private static long numbers;

    /// <summary>A number that no other instance has, from 1.</summary>
    public long Number { get; } = Interlocked.Increment(ref numbers);

    public int Rank => rank;

    public int Outputs => node.Outputs;

    /// <summary>[inputs, Rank].</summary>
    public float[] A { get; } = new float[node.Inputs * rank];

    /// <summary>[Rank, outputs].</summary>
    public float[] B { get; } = new float[rank * node.Outputs];
}
