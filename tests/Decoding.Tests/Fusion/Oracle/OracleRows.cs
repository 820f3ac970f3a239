namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>The members' rows at one position by the names that the equations have for them, cut to the shared vocabulary.</summary>
internal sealed record OracleRows(double[] Base, IReadOnlyList<OracleExpert> Experts, double[]? Amateur = null, double[]? WithoutContext = null);

/// <summary>s+ and s- of one expert. Experts that read the same rows share the arrays.</summary>
internal sealed record OracleExpert(string Name, double[] Plus, double[]? Minus);

/// <summary>What must come of one position.</summary>
/// <param name="Row">Log-probabilities up to a constant; minus infinity where a token is banned or masked.</param>
/// <param name="Weights">By delta name.</param>
internal sealed record OracleToken(double[] Row, IReadOnlyDictionary<string, double> Weights, int Kept, double Divergence, OracleGate? Gate);

/// <param name="Divergence">KL(fused, base) that the open gate would have brought.</param>
internal sealed record OracleGate(double Divergence, bool ChangesChoice);
