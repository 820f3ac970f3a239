namespace ProxyTune.Decoding.Generation;

/// <summary>
/// Requests that compete for the same places. There are two kinds: those that this machine alone answers, and those with a member
/// elsewhere, which may be slow or down. Neither kind can use up the places, or the line, of the other.
/// </summary>
/// <param name="places">How many may run at the same time.</param>
internal sealed class AdmissionQueue(int places, int capacity, WakeEvent bell)
{
    public WaitingQueue Line { get; } = new(capacity, bell);

    /// <summary>How many run. Only the scheduler's thread touches it.</summary>
    public int Running { get; set; }

    public bool HasPlace => Running < places;
}
