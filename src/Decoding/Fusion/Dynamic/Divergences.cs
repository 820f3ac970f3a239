namespace ProxyTune.Decoding.Fusion;

/// <summary>How far a distribution moved, both ways, in nats.</summary>
/// <param name="Forward">KL(new || old).</param>
/// <param name="Backward">KL(old || new).</param>
internal readonly record struct Divergences(double Forward, double Backward);
