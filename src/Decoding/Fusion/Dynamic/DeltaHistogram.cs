using System.Numerics.Tensors;
using System.Runtime.Intrinsics;

namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// The distribution of a delta under the base, which determines Z(a) = E_P[exp(a d)]. Tokens are sorted into bins of equal width by their d.
/// A bin stores its mass and the first three cumulants of d within it, so that sum of p exp(a d) over the bin is
/// mass * exp(a mean + a^2/2 variance + a^3/6 third) up to (a width)^4 / 192 of itself, below 1e-7 at the largest a. A row is read once. Each
/// evaluation of Z then costs a few hundred exponentials for a vocabulary of any size.
/// </summary>
internal sealed class DeltaHistogram
{
    // Bins per unit of d at the largest factor 1; twice as many at 2.
    private const double Fineness = 16;
    private const int FewestBins = 256;
    private const int MaxBins = 8192;

    // The sums over a bin of p, p x, p x^2, p x^3, with x the distance from the bin's middle.
    private readonly Vector256<double>[] sums = new Vector256<double>[MaxBins];
    private readonly double[][] bins = [.. Enumerable.Range(0, 4).Select(_ => new double[MaxBins])];
    private int binCount;
    private double low;
    private double width;

    /// <summary>The number of bins with mass.</summary>
    public int Count { get; private set; }

    /// <summary>The logarithm of each bin's share of all mass.</summary>
    public ReadOnlySpan<double> LogMass => bins[0].AsSpan(0, Count);

    /// <summary>E[d] within each bin, after <see cref="Centre"/> is subtracted.</summary>
    public ReadOnlySpan<double> Mean => bins[1].AsSpan(0, Count);

    public ReadOnlySpan<double> Variance => bins[2].AsSpan(0, Count);

    /// <summary>The third central moment within each bin.</summary>
    public ReadOnlySpan<double> Third => bins[3].AsSpan(0, Count);

    /// <summary>E_P[d].</summary>
    public double Centre { get; private set; }

    /// <summary>Empties the histogram and sets its range.</summary>
    /// <param name="low">A lower bound of d.</param>
    /// <param name="high">An upper bound of d, above <paramref name="low"/>.</param>
    /// <param name="maximum">The largest a.</param>
    public void Begin(double low, double high, double maximum)
    {
        binCount = (int)Math.Clamp(Math.Ceiling((high - low) * maximum * Fineness), FewestBins, MaxBins);
        this.low = low;
        width = (high - low) / binCount;
        sums.AsSpan(0, binCount).Clear();
    }

    /// <param name="mass">The p of some tokens. Their sum need not be 1.</param>
    /// <param name="deltas">The d of the same tokens.</param>
    public void Add(ReadOnlySpan<double> mass, ReadOnlySpan<double> deltas)
    {
        double perUnit = 1 / width, half = width / 2;
        Span<Vector256<double>> target = sums.AsSpan(0, binCount);
        for (int i = 0; i < mass.Length; i++)
        {
            double x = deltas[i] - low;
            int bin = Math.Clamp((int)(x * perUnit), 0, target.Length - 1);
            x -= (bin * width) + half;
            target[bin] += mass[i] * Vector256.Create(1, x, x * x, x * x * x);
        }
    }

    /// <summary>Computes the cumulants from the sums.</summary>
    public void End()
    {
        Count = 0;
        double total = 0, weighted = 0;
        for (int bin = 0; bin < binCount; bin++)
        {
            double mass = sums[bin][0];
            if (mass > 0)
            {
                Vector256<double> raw = sums[bin] / mass;
                double first = raw[1], mean = low + ((bin + 0.5) * width) + first;
                bins[0][Count] = mass;
                bins[1][Count] = mean;
                bins[2][Count] = Math.Max(0, raw[2] - (first * first));
                bins[3][Count] = raw[3] - (3 * raw[2] * first) + (2 * first * first * first);
                Count++;
                total += mass;
                weighted += mass * mean;
            }
        }

        Centre = weighted / total;
        TensorPrimitives.Subtract(Mean, Centre, bins[1]);
        TensorPrimitives.Log(LogMass, bins[0]);
        TensorPrimitives.Subtract(LogMass, Math.Log(total), bins[0]);
    }
}
