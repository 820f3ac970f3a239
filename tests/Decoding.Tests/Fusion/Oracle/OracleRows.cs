namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>The rows of the models at one position, named as in the equations and cut to the shared vocabulary.</summary>
internal sealed record OracleRows(double[] Base, IReadOnlyList<OracleExpert> Experts, double[]? Amateur = null, double[]? WithoutContext = null);

/// <summary>s+ and s- of one expert. Experts that read the same rows share the arrays.</summary>
internal sealed record OracleExpert(string Name, double[] Plus, double[]? Minus);

/// <summary>Expected result at one position.</summary>
/// <param name="Row">Log-probabilities up to a constant; minus infinity where a token is banned or masked.</param>
/// <param name="Weights">Weights by name of the delta.</param>
internal sealed record OracleToken(double[] Row, IReadOnlyDictionary<string, double> Weights, int Kept, double Divergence, OracleGate? Gate);

/// <param name="Divergence">KL(fused, base) with an open gate.</param>
internal sealed record OracleGate(double Divergence, bool ChangesChoice);
