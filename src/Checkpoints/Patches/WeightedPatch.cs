namespace ProxyTune.Checkpoints.Patches;

/// <summary>A summand of a merge.</summary>
/// <param name="Weight">Finite. A negative weight removes what the patch learned.</param>
public sealed record WeightedPatch(LowRankPatch Patch, double Weight);
