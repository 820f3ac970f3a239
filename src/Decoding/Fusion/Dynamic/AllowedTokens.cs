using System.Numerics.Tensors;

namespace ProxyTune.Decoding.Fusion;

/// <summary>Removes the tokens that any row bans, so that all computations of a position are finite.</summary>
internal sealed class AllowedTokens
{
    private readonly List<float[]> copies = [];
    private DeltaRows[] deltas = [];
    private int[] ids = [];

    /// <returns>The same rows if no token is banned, else shorter copies that are valid until the next call.</returns>
    public FusionStep Of(in FusionStep step)
    {
        bool whole = IsFinite(step.Base);
        foreach (DeltaRows delta in step.Deltas)
        {
            whole = whole && IsFinite(delta.Plus.Span) && IsFinite(delta.Minus.Span);
        }

        return whole ? step : Select(step);
    }

    private FusionStep Select(in FusionStep step)
    {
        if (ids.Length < step.Base.Length)
        {
            ids = new int[step.Base.Length];
            copies.Clear();
        }

        for (int i = 0; i < step.Base.Length; i++)
        {
            ids[i] = i;
        }

        int count = Filter(step.Base, step.Base.Length);
        foreach (DeltaRows delta in step.Deltas)
        {
            count = Filter(delta.Minus.Span, Filter(delta.Plus.Span, count));
        }

        if (deltas.Length != step.Deltas.Length)
        {
            deltas = new DeltaRows[step.Deltas.Length];
        }

        int used = 0;
        ReadOnlyMemory<float> @base = Copy(step.Base, count, ref used);
        for (int t = 0; t < deltas.Length; t++)
        {
            deltas[t] = new(Copy(step.Deltas[t].Plus.Span, count, ref used), Copy(step.Deltas[t].Minus.Span, count, ref used));
        }

        return new(@base.Span, deltas, step.Previous);
    }

    private int Filter(ReadOnlySpan<float> row, int count)
    {
        int kept = 0;
        for (int i = 0; i < count; i++)
        {
            if (row.IsEmpty || float.IsFinite(row[ids[i]]))
            {
                ids[kept++] = ids[i];
            }
        }

        return kept;
    }

    private ReadOnlyMemory<float> Copy(ReadOnlySpan<float> row, int count, ref int used)
    {
        if (row.IsEmpty)
        {
            return default;
        }

        if (used == copies.Count)
        {
            copies.Add(new float[ids.Length]);
        }

        float[] copy = copies[used++];
        for (int i = 0; i < count; i++)
        {
            copy[i] = row[ids[i]];
        }

        return copy.AsMemory(0, count);
    }

    private static bool IsFinite(ReadOnlySpan<float> row) => float.IsFinite(TensorPrimitives.Sum(row));
}
