namespace ProxyTune.Decoding.Models;

/// <summary>What the tokens that a remote base did not name could have changed of one position.</summary>
/// <param name="Mass">m: the probability that the base gives to tokens it did not name; 0 to 1.</param>
/// <param name="TotalVariation">
/// No event's probability in the fused distribution over the known tokens differs by more from the one that the base's whole row would have
/// given; 0 to 1.
/// </param>
/// <param name="KeepsLikeliest">Whether no missing token can be likelier than the likeliest known one, so that greedy decoding goes on as with the whole row.</param>
public readonly record struct MissingBound(double Mass, double TotalVariation, bool KeepsLikeliest)
{
    /// <summary>The row is whole, or what is missing cannot be a candidate.</summary>
    public static MissingBound Nothing(double mass) => new(mass, 0, true);

    /// <summary>Nothing can be said.</summary>
    public static MissingBound Unknown(double mass) => new(mass, 1, false);
}
