namespace ProxyTune.Decoding.Generation;

/// <summary>
/// What it takes to score blocks of some number of sequences: <c>T = v + x s</c> with x positions beyond the first of each. v and s by least
/// squares over measured steps, older ones weighing less. The first is left out and stalls are dealt with as in <see cref="SmoothedTime"/>.
/// </summary>
internal sealed class BlockTime
{
    private const double Decay = 0.95;

    // Until measured, a further position costs a tenth of a pass.
    private const double Share = 0.1;

    // About so many steps are needed to be sure.
    private const double Sure = 3;

    private bool isWarm;
    private double weight;
    private double x;
    private double xx;
    private double t;
    private double xt;

    public bool IsKnown => weight > Sure;

    /// <summary>v, seconds.</summary>
    public double Pass { get; private set; }

    /// <summary>s, seconds.</summary>
    public double Position { get; private set; }

    public double Of(int positions) => Pass + (positions * Position);

    /// <summary>Measures anew.</summary>
    public void Forget() => (weight, x, xx, t, xt) = (0, 0, 0, 0, 0);

    public void Add(int positions, double seconds)
    {
        if (!isWarm)
        {
            isWarm = true;
            return;
        }

        if (seconds < Of(positions) / 2)
        {
            Forget();
        }

        seconds = weight > 0 ? Math.Min(seconds, 2 * Of(positions)) : seconds;
        weight = (Decay * weight) + 1;
        x = (Decay * x) + positions;
        xx = (Decay * xx) + ((double)positions * positions);
        t = (Decay * t) + seconds;
        xt = (Decay * xt) + (positions * seconds);

        // The assumption takes part as one more measurement, (Share v - s) = 0, so that there is a solution from the first step on.
        double a = weight + (Share * Share), b = x - Share, c = xx + 1, determinant = (a * c) - (b * b);
        Pass = ((c * t) - (b * xt)) / determinant;
        Position = ((a * xt) - (b * t)) / determinant;
        if (Position < 0 || Pass <= 0)
        {
            (Pass, Position) = (t / weight, 0);
        }
    }
}
