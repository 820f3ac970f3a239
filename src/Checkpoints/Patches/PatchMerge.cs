using System.Numerics.Tensors;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>
/// Task arithmetic (Ilharco et al. 2023, arXiv 2212.04089): W + sum_i w_i (alpha_i / r_i) B_i A_i for every weight of a checkpoint, in float32.
/// </summary>
internal static class PatchMerge
{
    /// <param name="tensors">The tensors of the checkpoint. A linear weight is [out, in].</param>
    /// <param name="patches">The patches. They are summed in the order of their names, so that the result does not depend on the order of this list.</param>
    /// <exception cref="EngineException">InvalidModelFolder: the checkpoint has no target of a patch, or has it in another shape; InvalidValue: a weight or a sum is not finite.</exception>
    public static IEnumerable<TensorSource> Apply(IEnumerable<TensorSource> tensors, IReadOnlyList<WeightedPatch> patches)
    {
        WeightedPatch[] ordered = [.. patches.OrderBy(patch => patch.Patch.Path, StringComparer.Ordinal)];
        CheckWeights(ordered);
        Dictionary<string, HashSet<string>> left = ordered.ToDictionary(patch => patch.Patch.Path, patch => patch.Patch.Targets.ToHashSet());
        foreach (TensorSource tensor in tensors)
        {
            WeightedPatch[] concerned = [.. ordered.Where(patch => left[patch.Patch.Path].Remove(tensor.Name))];
            foreach (WeightedPatch patch in concerned)
            {
                CheckShape(patch.Patch, tensor.Name, [.. tensor.Shape]);
            }

            WeightedPatch[] added = [.. concerned.Where(patch => patch.Weight != 0)];
            yield return added.Length == 0 ? tensor : tensor with { Pieces = () => Add(tensor, added) };
        }

        foreach ((string path, HashSet<string> unknown) in left)
        {
            if (unknown.Count > 0)
            {
                throw EngineException.InFile(path, $"'{unknown.Order().First()}' is changed, but the model has no such weight.");
            }
        }
    }

    private static IEnumerable<ReadOnlyMemory<float>> Add(TensorSource tensor, WeightedPatch[] patches)
    {
        LowRankPair[] pairs = [.. patches.Select(patch => patch.Patch.Pair(tensor.Name)!)];
        float[] delta = new float[pairs[0].Inputs], sum = [];
        int row = 0;
        foreach (ReadOnlyMemory<float> piece in tensor.Pieces())
        {
            Array.Resize(ref sum, Math.Max(sum.Length, piece.Length));
            piece.CopyTo(sum);
            for (int start = 0; start < piece.Length; start += delta.Length, row++)
            {
                AddRow(tensor.Name, patches, pairs, row, delta, sum.AsSpan(start, delta.Length));
            }

            yield return sum.AsMemory(0, piece.Length);
        }
    }

    private static void AddRow(string name, WeightedPatch[] patches, LowRankPair[] pairs, int row, float[] delta, Span<float> weights)
    {
        Array.Clear(delta);
        for (int k = 0; k < pairs.Length; k++)
        {
            (int rank, float[] a, float[] b) = pairs[k];
            for (int r = 0; r < rank; r++)
            {
                float factor = (float)(patches[k].Weight * pairs[k].Scale * b[(row * rank) + r]);
                TensorPrimitives.MultiplyAdd(a.AsSpan(r * delta.Length, delta.Length), factor, delta, delta);
            }
        }

        TensorPrimitives.Add(weights, delta, weights);
        if (!TensorPrimitives.IsFiniteAll<float>(weights))
        {
            throw new EngineException(EngineError.InvalidValue, $"The weights {Weights(patches)} make '{name}' overflow.", "patches");
        }
    }

    /// <exception cref="EngineException">InvalidValue: a patch is given twice, or a weight is not finite.</exception>
    internal static void CheckWeights(IReadOnlyList<WeightedPatch> patches)
    {
        if (patches.GroupBy(patch => patch.Patch.Path).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new EngineException(EngineError.InvalidValue, $"The patch {twice.Key} is given {twice.Count()} times.", "patches");
        }

        foreach (WeightedPatch patch in patches)
        {
            if (!double.IsFinite(patch.Weight))
            {
                throw new EngineException(
                    EngineError.InvalidValue, FormattableString.Invariant($"The weight of patch '{patch.Patch.Name}' is {patch.Weight}; accepted is a finite number."), "patches");
            }
        }
    }

    /// <exception cref="EngineException">InvalidModelFolder: the patch's pair has another shape.</exception>
    internal static void CheckShape(LowRankPatch patch, string name, int[] shape)
    {
        LowRankPair pair = patch.Pair(name)!;
        if (shape is not [var outputs, var inputs] || (outputs, inputs) != (pair.Outputs, pair.Inputs))
        {
            throw EngineException.InFile(patch.Path, $"'{name}' is changed as [{pair.Outputs}, {pair.Inputs}]; the model's is [{string.Join(", ", shape)}].");
        }
    }

    private static string Weights(WeightedPatch[] patches) =>
        string.Join(", ", patches.Select(patch => FormattableString.Invariant($"{patch.Patch.Name} {patch.Weight}")));
}
