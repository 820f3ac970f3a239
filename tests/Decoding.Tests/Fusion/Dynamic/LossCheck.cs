namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Compares the factors of one expert with the grids of the oracle.</summary>
internal sealed class LossCheck
{
    // Tolerance for single precision of logits and factors: relative to the target, and in nats where the target is near zero.
    private const double Noise = 2e-6;
    private const double Floor = 2e-12;

    // A rise of the misfit over one step that is close to the rounding of double precision.
    private const double Flat = 1e-11;

    private readonly SlowDynamicFusion oracle;
    private readonly double[][] misfits;
    private readonly double tolerance;
    private readonly int steps;

    /// <param name="steps">Number of points of the fine grid per 0.1.</param>
    public LossCheck(RandomDeltaRows rows, int steps = 10)
    {
        this.steps = steps;
        oracle = new(rows);
        misfits = [.. rows.Deltas.Select((_, t) => Enumerable.Range(0, (20 * steps) + 1).Select(i => Misfit(t, 0.1 * i / steps)).ToArray())];
        tolerance = (Noise * Math.Sqrt(oracle.Targets.Sum(t => (t.Forward * t.Forward) + (t.Backward * t.Backward)))) + Floor;
    }

    /// <summary>Whether there is one minimum that is neither flat nor equal to another one up to the tolerance.</summary>
    public bool IsUnique { get; private set; }

    /// <summary>Checks that no point of the fine grid is better.</summary>
    public void NothingOnTheGridIsBetter(double[] factors)
    {
        double misfit = Math.Sqrt(oracle.Loss(factors)), best = misfits.Min(m => m.Min());
        Assert.True(misfit <= best + tolerance, $"{misfit} at {string.Join(' ', factors)}, {best} on the grid, tolerance {tolerance}");
        Assert.True(factors.Count(a => a != 0) <= 1);
    }

    /// <summary>Checks that no point of the fine grid is better and, if the minimum is unique, that the fused row equals the row of the minimum.</summary>
    public void ClosedForm(double[] factors)
    {
        NothingOnTheGridIsBetter(factors);
        Minimum[] minima = [.. Minima().OrderBy(m => m.Misfit)];
        IsUnique = minima[0].Rise > Flat * (1 + minima[0].Misfit) && minima.Skip(1).All(m => m.Misfit > minima[0].Misfit + tolerance);
        if (IsUnique)
        {
            double distance = oracle.Distance(factors, minima[0].Factors);
            Assert.True(distance <= 1e-5, $"{string.Join(' ', factors)}, but the minimum is at {string.Join(' ', minima[0].Factors)}: {distance}");
        }
    }

    /// <summary>Checks that no point of the paper's grid is better.</summary>
    public void Grid(double[] factors)
    {
        double misfit = Math.Sqrt(oracle.Loss(factors)), best = misfits.Min(m => m.Where((_, i) => i % steps == 0).Min());
        Assert.True(misfit <= best + tolerance, $"{misfit} at {string.Join(' ', factors)}, {best} on the grid, tolerance {tolerance}");
        Assert.All(factors, a => Assert.Equal(Math.Round(a, 1), a, 1e-6));
    }

    /// <summary>Square root of the loss with the factor of expert t alone.</summary>
    private double Misfit(int t, double a) => Math.Sqrt(oracle.Loss(Alone(t, a)));

    /// <summary>Each low point of the fine grid, refined between its neighbours by golden section.</summary>
    private IEnumerable<Minimum> Minima()
    {
        for (int t = 0; t < misfits.Length; t++)
        {
            double[] row = misfits[t];
            for (int i = 0; i < row.Length; i++)
            {
                double left = i == 0 ? double.PositiveInfinity : row[i - 1], right = i == row.Length - 1 ? double.PositiveInfinity : row[i + 1];
                if (row[i] < left && row[i] <= right)
                {
                    double a = GoldenSection(t, 0.1 * Math.Max(0, i - 1) / steps, 0.1 * Math.Min(20 * steps, i + 1) / steps);
                    yield return new(Misfit(t, a), Alone(t, a), Math.Min(left, right) - row[i]);
                }
            }
        }
    }

    private double GoldenSection(int t, double low, double high)
    {
        double ratio = (Math.Sqrt(5) - 1) / 2;
        while (high - low > 1e-8)
        {
            double left = high - (ratio * (high - low)), right = low + (ratio * (high - low));
            (low, high) = Misfit(t, left) <= Misfit(t, right) ? (low, right) : (left, high);
        }

        return (low + high) / 2;
    }

    private double[] Alone(int t, double a) => [.. oracle.Targets.Select((_, s) => s == t ? a : 0)];

    private readonly record struct Minimum(double Misfit, double[] Factors, double Rise);
}
