using System.Text.Json.Serialization;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Gateway.Experts;

/// <summary>What came of plugging a patch into a base that it was not trained on.</summary>
/// <param name="Expert">Id of the patch.</param>
/// <param name="Base">Name of the model folder.</param>
/// <param name="Weights">Hash of the folder's weights: the result holds for these.</param>
/// <param name="State">Native where the base turned out to be the one that it was trained on.</param>
/// <param name="Reason">For people.</param>
/// <param name="At">When.</param>
public sealed record PortRecord(string Expert, string Base, string Weights, PatchState State, string Reason, DateTimeOffset At)
{
    public PortScores? Scores { get; init; }

    /// <summary>How large the update is against the base's weights, and how it lies to what changed in them; null where the patch does not fit.</summary>
    public UpdateDiagnostics? Diagnostics { get; init; }

    /// <summary>Whether the patch can run on the base at all.</summary>
    [JsonIgnore]
    public bool Fits => Diagnostics is not null;

    /// <summary>The served model that was moved to this base, if one was.</summary>
    public string? Moved { get; init; }
}

/// <summary>Right answers of a task.</summary>
public sealed record TaskScore(int Right, int Total)
{
    public double Share => Total == 0 ? 0 : (double)Right / Total;
}

/// <summary>What the gate weighs.</summary>
/// <param name="Unpatched">The evolved base alone.</param>
/// <param name="Ported">The evolved base with the patch.</param>
/// <param name="Donor">The base that the patch was trained on, with it; null where that is not served here.</param>
/// <param name="AtLeast">The share of the donor's gain over the unpatched base that had to be kept.</param>
public sealed record PortScores(TaskScore Unpatched, TaskScore Ported, TaskScore? Donor, double AtLeast)
{
    /// <summary>
    /// (ported - unpatched) / (donor - unpatched): how much of what the patch gave is left. Null where there is no donor, or it is no better
    /// than the unpatched base.
    /// </summary>
    public double? Kept => Donor is { } donor && donor.Share > Unpatched.Share ? (Ported.Share - Unpatched.Share) / (donor.Share - Unpatched.Share) : null;

    /// <summary>For people.</summary>
    public string Describe()
    {
        string counts = $"{Ported.Right} of {Ported.Total} right, {Unpatched.Right} without the patch";
        return Kept is { } kept
            ? FormattableString.Invariant($"{counts}, {Donor!.Right} on the donor: {kept:P1} of the gain is kept, {AtLeast:P0} had to be")
            : Donor is null ? $"{counts}; the donor is not served here" : $"{counts}, {Donor.Right} on the donor: the task does not show what the patch is for";
    }

    /// <summary>Enough of the donor's gain is kept; without a donor to compare with, the patch makes the base better. A task in which the donor gains nothing shows nothing.</summary>
    public bool Pass => Kept is { } kept ? kept >= AtLeast : Donor is null && Ported.Share > Unpatched.Share;
}
