namespace ProxyTune.Decoding.Generation.Speculation;

/// <summary>Exponential average of durations in seconds. The first is left out, which may have had to make something ready; a stall counts as twice the average.</summary>
internal sealed class SmoothedTime
{
    private const int Memory = 16;

    private int count;

    /// <summary>Null until something was measured.</summary>
    public double? Seconds { get; private set; }

    public void Add(double seconds)
    {
        if (count > 0)
        {
            Seconds = Seconds is { } average ? average + ((Math.Min(seconds, 2 * average) - average) / count) : seconds;
        }

        count = Math.Min(count + 1, Memory);
    }
}
