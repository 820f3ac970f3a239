using System.Numerics.Tensors;

namespace ProxyTune.Decoding.Sampling;

/// <summary>Partial selection of the likeliest tokens in expected linear time. A row is never sorted.</summary>
internal static class Selection
{
    private const int Block = 32;

    /// <summary>Puts the k likeliest tokens into candidates[..k], the k-th last, the others unordered.</summary>
    /// <param name="candidates">Working memory, as long as the row.</param>
    public static void Top(ReadOnlySpan<float> row, int k, Span<Candidate> candidates)
    {
        int count = Above(row, LowerBound(row, k, candidates), candidates);
        First(candidates[..count], k);
    }

    /// <summary>Collects the tokens with at least that score, in the order of their ids.</summary>
    private static int Above(ReadOnlySpan<float> row, float score, Span<Candidate> candidates)
    {
        int count = 0;
        for (int start = 0; start < row.Length; start += Block)
        {
            ReadOnlySpan<float> block = row.Slice(start, Math.Min(Block, row.Length - start));
            if (TensorPrimitives.Max(block) < score)
            {
                continue;
            }

            for (int i = 0; i < block.Length; i++)
            {
                if (block[i] >= score)
                {
                    candidates[count++] = new(block[i], start + i);
                }
            }
        }

        return count;
    }

    /// <summary>Reorders so that the first k precede all others and the k-th is the last of them.</summary>
    private static void First(Span<Candidate> candidates, int k)
    {
        int low = 0, high = candidates.Length - 1;
        while (low < high)
        {
            int pivot = Partition(candidates, low, high);
            if (pivot == k - 1)
            {
                return;
            }

            (low, high) = pivot < k - 1 ? (pivot + 1, high) : (low, pivot - 1);
        }
    }

    /// <summary>Reorders so that the first n are the smallest leading set whose mass reaches the target; the n-th is the last of them.</summary>
    /// <returns>n; all when the target is out of reach.</returns>
    public static int Nucleus(Span<Candidate> candidates, double target)
    {
        int low = 0, high = candidates.Length - 1;
        double before = 0;
        while (low < high)
        {
            int pivot = Partition(candidates, low, high);
            double until = before;
            for (int i = low; i < pivot; i++)
            {
                until += candidates[i].Mass;
            }

            if (until >= target)
            {
                high = pivot - 1;
            }
            else if (until + candidates[pivot].Mass >= target)
            {
                return pivot + 1;
            }
            else
            {
                before = until + candidates[pivot].Mass;
                low = pivot + 1;
            }
        }

        return Math.Min(low + 1, candidates.Length);
    }

    /// <summary>A score that at least k tokens reach: the k-th largest of the maxima of blocks.</summary>
    private static float LowerBound(ReadOnlySpan<float> row, int k, Span<Candidate> maxima)
    {
        int blocks = row.Length / Block;
        if (k > blocks)
        {
            return float.NegativeInfinity;
        }

        for (int i = 0; i < blocks; i++)
        {
            maxima[i] = new(TensorPrimitives.Max(row.Slice(i * Block, Block)), i);
        }

        First(maxima[..blocks], k);
        return maxima[k - 1].Score;
    }

    private static int Partition(Span<Candidate> items, int low, int high)
    {
        int middle = low + ((high - low) / 2);
        OrderPair(ref items[low], ref items[middle]);
        OrderPair(ref items[low], ref items[high]);
        OrderPair(ref items[high], ref items[middle]);

        // The median of the three lies at the end now.
        Candidate pivot = items[high];
        int next = low;
        for (int i = low; i < high; i++)
        {
            if (items[i].Precedes(pivot))
            {
                (items[next], items[i]) = (items[i], items[next]);
                next++;
            }
        }

        (items[next], items[high]) = (items[high], items[next]);
        return next;
    }

    private static void OrderPair(ref Candidate first, ref Candidate second)
    {
        if (second.Precedes(first))
        {
            (first, second) = (second, first);
        }
    }
}

/// <summary>A token that may be among the likeliest.</summary>
/// <param name="Mass">exp(Score), where a caller needs it.</param>
internal readonly record struct Candidate(float Score, int Id, float Mass = 0)
{
    /// <summary>Higher scores first; among equal ones the lower id.</summary>
    public bool Precedes(in Candidate other) => Score > other.Score || (Score == other.Score && Id < other.Id);
}
