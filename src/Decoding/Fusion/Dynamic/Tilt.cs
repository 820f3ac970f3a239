namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// F_a = P exp(a d) / Z(a) at one a. d is centred, E_P[d] = 0, so that neither divergence is a difference of large numbers:
/// KL(F_a || P) = a E_a[d] - log Z(a) and KL(P || F_a) = log Z(a). Both rise with a.
/// </summary>
/// <param name="Factor">a.</param>
/// <param name="LogZ">log E_P[exp(a d)].</param>
/// <param name="Mean">E_a[d].</param>
/// <param name="Variance">Var_a[d].</param>
internal readonly record struct Tilt(double Factor, double LogZ, double Mean, double Variance)
{
    public Divergences Moved => new(Math.Max(0, (Factor * Mean) - LogZ), Math.Max(0, LogZ));
}
