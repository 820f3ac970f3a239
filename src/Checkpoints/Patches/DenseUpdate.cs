using System.Numerics.Tensors;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>Computes the update of a linear node's weights as one matrix, sum of w (alpha / r) (B A)^T, in the node's layout.</summary>
internal static class DenseUpdate
{
    /// <returns>[inputs, outputs], row-major.</returns>
    public static float[] Of(PatchSum sum, LinearNode node)
    {
        float[] dense = new float[node.Inputs * node.Outputs];
        foreach (LinearPart part in node.Parts)
        {
            foreach (WeightedPatch summand in sum.Patches)
            {
                if (summand.Patch.Pair(part.Target) is { } pair)
                {
                    Add(dense, node, part, pair, summand.Weight * pair.Scale);
                }
            }
        }

        return dense;
    }

    private static void Add(float[] dense, LinearNode node, LinearPart part, LowRankPair pair, double factor)
    {
        float[] columns = Transposed(pair.B, pair.Rank), delta = new float[pair.Outputs];
        for (int i = 0; i < pair.Inputs; i++)
        {
            Array.Clear(delta);
            for (int r = 0; r < pair.Rank; r++)
            {
                TensorPrimitives.MultiplyAdd(columns.AsSpan(r * pair.Outputs, pair.Outputs), (float)(factor * pair.A[(r * pair.Inputs) + i]), delta, delta);
            }

            Span<float> row = dense.AsSpan(((part.InputHeads?.Index(i) ?? i) * node.Outputs) + part.First, part.Outputs);
            if (part.OutputHeads is not { IsSame: false } heads)
            {
                TensorPrimitives.Add(row, delta, row);
                continue;
            }

            for (int o = 0; o < pair.Outputs; o++)
            {
                row[heads.Index(o)] += delta[o];
            }
        }
    }

    private static float[] Transposed(float[] b, int rank)
    {
        float[] columns = new float[b.Length];
        for (int i = 0; i < b.Length; i++)
        {
            columns[(i % rank * (b.Length / rank)) + (i / rank)] = b[i];
        }

        return columns;
    }
}
