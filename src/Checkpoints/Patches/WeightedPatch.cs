namespace ProxyTune.Checkpoints.Patches;

/// <summary>A patch with its weight in a merge.</summary>
/// <param name="Weight">A finite number. A negative weight removes the patch's behaviour.</param>
public sealed record WeightedPatch(LowRankPatch Patch, double Weight);
