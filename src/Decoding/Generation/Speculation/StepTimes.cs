namespace ProxyTune.Decoding.Generation;

/// <summary>The measured times of steps with one number of sequences.</summary>
internal sealed class StepTimes
{
    /// <summary>The time of a step without drafts.</summary>
    public SmoothedTime Plain { get; } = new();

    /// <summary>The time of one pass of the drafters.</summary>
    public SmoothedTime Draft { get; } = new();

    /// <summary>The time of the rest of a step with drafts.</summary>
    public BlockTime Blocks { get; } = new();

    /// <summary>The number of consecutive steps of the same kind, with or without drafts.</summary>
    public int Repeated { get; private set; }

    private bool HasDrafted { get; set; }

    public void Count(bool hasDrafted)
    {
        Repeated = hasDrafted == HasDrafted ? Repeated + 1 : 1;
        HasDrafted = hasDrafted;
    }

    /// <summary>Whether the last steps were all of one kind, so that the other kind must be measured again.</summary>
    public bool IsStale(bool drafts, int after) => drafts == HasDrafted && Repeated >= after;
}

/// <summary>
/// An exponential average of durations in seconds that ignores stalls. The first duration is left out, since it may include preparations. A longer
/// duration than twice the average counts as twice the average. After a duration below half of the average, the average starts again.
/// </summary>
internal sealed class SmoothedTime
{
    private const int Memory = 16;

    private bool isWarm;
    private int count;

    /// <summary>The average; null before the first measurement.</summary>
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
/// The time to score the blocks of several sequences: <c>T = v + x s</c> with x positions beyond the first position of each sequence. v and s are fitted by
/// least squares over measured steps with decaying weights. The first step and stalls are treated as in <see cref="SmoothedTime"/>.
/// </summary>
internal sealed class BlockTime
{
    private const double Decay = 0.95;

    // Before measurements, another position is assumed to cost a tenth of a pass.
    private const double Share = 0.1;

    // The fit is used after about this many steps.
    private const double Sure = 3;

    private bool isWarm;
    private double weight;
    private double x;
    private double xx;
    private double t;
    private double xt;

    public bool IsKnown => weight > Sure;

    /// <summary>v in seconds.</summary>
    public double Pass { get; private set; }

    /// <summary>s in seconds.</summary>
    public double Position { get; private set; }

    public double Of(int positions) => Pass + (positions * Position);

    /// <summary>Removes all measurements.</summary>
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

        // The assumption enters as one more measurement, (Share v - s) = 0, so that the first step already has a solution.
        double a = weight + (Share * Share), b = x - Share, c = xx + 1, determinant = (a * c) - (b * b);
        Pass = ((c * t) - (b * xt)) / determinant;
        Position = ((a * xt) - (b * t)) / determinant;
        if (Position < 0 || Pass <= 0)
        {
            (Pass, Position) = (t / weight, 0);
        }
    }
}
