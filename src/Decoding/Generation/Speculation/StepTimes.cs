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
