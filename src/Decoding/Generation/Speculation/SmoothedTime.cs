namespace ProxyTune.Decoding.Generation;

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
