namespace ProxyTune.Decoding.Generation;

/// <summary>What steps with some number of sequences take.</summary>
internal sealed class StepTimes
{
    /// <summary>A step without drafts.</summary>
    public SmoothedTime Plain { get; } = new();

    /// <summary>One pass of the drafters.</summary>
    public SmoothedTime Draft { get; } = new();

    /// <summary>The rest of a step with drafts.</summary>
    public BlockTime Blocks { get; } = new();

    /// <summary>Steps of the same kind, with or without drafts, in a row.</summary>
    public int Repeated { get; private set; }

    private bool HasDrafted { get; set; }

    public void Count(bool hasDrafted)
    {
        Repeated = hasDrafted == HasDrafted ? Repeated + 1 : 1;
        HasDrafted = hasDrafted;
    }

    /// <summary>Whether something is to be tried again, however good the other way seems to be.</summary>
    public bool IsStale(bool drafts, int after) => drafts == HasDrafted && Repeated >= after;
}

/// <summary>
/// Exponential average of durations in seconds, nearer to the short ones: the first is left out, which may have had to make something ready, a
/// stall counts as twice the average, and where one takes less than half of it, what was before was a stall.
/// </summary>
internal sealed class SmoothedTime
{
    private const int Memory = 16;

    private bool isWarm;
    private int count;

    /// <summary>Null until something was measured.</summary>
    public double? Seconds { get; private set; }

    public void Add(double seconds)
    {
        if (!isWarm)
        {
            isWarm = true;
        }
        else if (Seconds is not { } average || seconds < average / 2)
        {
            (Seconds, count) = (seconds, 1);
        }
        else
        {
            count = Math.Min(count + 1, Memory);
            Seconds = average + ((Math.Min(seconds, 2 * average) - average) / count);
        }
    }
}

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
