using System.Text.Json.Serialization;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Gateway.Experts;

/// <summary>Result of porting a patch to a base that it was not trained on.</summary>
/// <param name="Expert">Id of the patch.</param>
/// <param name="Base">Name of the model folder.</param>
/// <param name="Weights">Hash of the folder's weights. The result holds for these only.</param>
/// <param name="State">Native if the patch was trained on this base after all.</param>
/// <param name="Reason">For people to read.</param>
/// <param name="At">When the port began.</param>
public sealed record PortRecord(string Expert, string Base, string Weights, PatchState State, string Reason, DateTimeOffset At)
{
    public PortScores? Scores { get; init; }

    /// <summary>The update compared with the base's weights and with what changed in them; null if the patch does not fit.</summary>
    public UpdateDiagnostics? Diagnostics { get; init; }

    /// <summary>Whether the patch can run on the base at all.</summary>
    [JsonIgnore]
    public bool Fits => Diagnostics is not null;

    /// <summary>The served model that the port moved to this base; null for none.</summary>
    public string? Moved { get; init; }
}

/// <summary>Number of right answers in a task.</summary>
public sealed record TaskScore(int Right, int Total)
{
    public double Share => Total == 0 ? 0 : (double)Right / Total;
}

/// <summary>The scores that decide about a port.</summary>
/// <param name="Unpatched">The new base alone.</param>
/// <param name="Ported">The new base with the patch.</param>
/// <param name="Donor">The base that the patch was trained on, with the patch; null if it is not loaded.</param>
/// <param name="AtLeast">The share of the donor's gain over the unpatched base that had to be kept.</param>
public sealed record PortScores(TaskScore Unpatched, TaskScore Ported, TaskScore? Donor, double AtLeast)
{
    /// <summary>
    /// (ported - unpatched) / (donor - unpatched): the share of the patch's gain that the port keeps. Null if there is no donor, or the donor is no
    /// better than the unpatched base.
    /// </summary>
    public double? Kept => Donor is { } donor && donor.Share > Unpatched.Share ? (Ported.Share - Unpatched.Share) / (donor.Share - Unpatched.Share) : null;

    /// <summary>A sentence for people to read.</summary>
    public string Describe()
    {
        string counts = $"{Ported.Right} of {Ported.Total} right, {Unpatched.Right} without the patch";
        return Kept is { } kept
            ? FormattableString.Invariant($"{counts}, {Donor!.Right} on the donor: {kept:P1} of the gain is kept, {AtLeast:P0} had to be")
            : Donor is null ? $"{counts}; the donor is not served here" : $"{counts}, {Donor.Right} on the donor: the task does not show a gain of the patch";
    }

    /// <summary>Whether enough of the donor's gain is kept. Without a donor, the patch must make the base better. A task in which the donor gains nothing shows nothing, and the patch does not pass.</summary>
    public bool Pass => Kept is { } kept ? kept >= AtLeast : Donor is null && Ported.Share > Unpatched.Share;
}
