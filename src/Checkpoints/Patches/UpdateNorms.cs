using System.Numerics.Tensors;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>The norms from which the diagnostics of an update are computed. They can be summed over targets.</summary>
/// <param name="Singular">The singular values of dW. Those of one target are in descending order; targets follow each other.</param>
/// <param name="Weights">|W'|_F^2 and |W'|_2; null if the weights are unknown.</param>
/// <param name="Change">|W|_F^2, |W' - W|_F^2, and the parts of the latter in the update's column space and row space; null if W is unknown.</param>
internal sealed record UpdateNorms(
    int Rank, IReadOnlyList<double> Singular, (double Squares, double Spectral)? Weights, (double Old, double Squares, double InColumns, double InRows)? Change)
{
    /// <param name="weights">W', row-major, or null; it is overwritten.</param>
    /// <param name="before">W, row-major, or null.</param>
    public static UpdateNorms Of(LowRankPair pair, float[]? weights, float[]? before)
    {
        UpdateSpectrum spectrum = UpdateSpectrum.Of(pair);
        (double, double)? norms = weights is null ? null : (Squares(weights), LargestSingularValue.Of(weights, pair.Inputs));
        if (weights is null || before is null)
        {
            return new(pair.Rank, spectrum.Values, norms, null);
        }

        TensorPrimitives.Subtract(weights, before, weights);
        return new(pair.Rank, spectrum.Values, norms, (Squares(before), Squares(weights), InColumns(weights, pair.Inputs, spectrum.Left), InRows(weights, pair.Inputs, spectrum.Right)));
    }

    /// <summary>The norms of the block-diagonal matrix of all targets.</summary>
    public static UpdateNorms Sum(IEnumerable<UpdateNorms> all) => all.Aggregate((one, other) => new(
        one.Rank + other.Rank,
        [.. one.Singular, .. other.Singular],
        one.Weights is { } w && other.Weights is { } v ? (w.Squares + v.Squares, Math.Max(w.Spectral, v.Spectral)) : null,
        one.Change is { } c && other.Change is { } d ? (c.Old + d.Old, c.Squares + d.Squares, c.InColumns + d.InColumns, c.InRows + d.InRows) : null));

    public TargetDiagnostics Describe(string target)
    {
        double frobenius = Math.Sqrt(Singular.Sum(value => value * value)), spectral = Singular.Max(), sum = Singular.Sum();
        double entropy = Singular.Where(value => value > 0).Sum(value => -value / sum * Math.Log(value / sum));
        return new(
            target,
            Rank,
            frobenius,
            spectral,
            sum > 0 ? Math.Exp(entropy) : 0,
            Weights is { } weights ? new(Ratio(frobenius, Math.Sqrt(weights.Squares)), Ratio(spectral, weights.Spectral)) : null,
            Change is { } change ? new(Ratio(Math.Sqrt(change.Squares), Math.Sqrt(change.Old)), Ratio(change.InColumns, change.Squares), Ratio(change.InRows, change.Squares)) : null);
    }

    private static double Ratio(double part, double whole) => whole > 0 ? part / whole : 0;

    private static double Squares(ReadOnlySpan<float> values)
    {
        // The sum is taken in pieces, since a float32 sum over millions of elements would lose small terms.
        double sum = 0;
        for (int start = 0; start < values.Length; start += 4096)
        {
            sum += TensorPrimitives.SumOfSquares(values[start..Math.Min(values.Length, start + 4096)]);
        }

        return sum;
    }

    /// <summary>|U^T D|_F^2.</summary>
    private static double InColumns(float[] change, int inputs, IReadOnlyList<float[]> left)
    {
        float[] product = new float[inputs];
        double sum = 0;
        foreach (float[] vector in left)
        {
            Array.Clear(product);
            for (int row = 0; row < vector.Length; row++)
            {
                TensorPrimitives.MultiplyAdd(change.AsSpan(row * inputs, inputs), vector[row], product, product);
            }

            sum += Squares(product);
        }

        return sum;
    }

    /// <summary>|D V|_F^2.</summary>
    private static double InRows(float[] change, int inputs, IReadOnlyList<float[]> right)
    {
        double sum = 0;
        for (int start = 0; start < change.Length; start += inputs)
        {
            foreach (float[] vector in right)
            {
                double product = TensorPrimitives.Dot<float>(change.AsSpan(start, inputs), vector);
                sum += product * product;
            }
        }

        return sum;
    }
}
