using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Testing;

namespace ProxyTune.Checkpoints.Tests.Patches;

/// <summary>Compares norms and subspaces of updates with dense matrices in plain loops.</summary>
public sealed class UpdateDiagnosticsTests : IDisposable
{
    private const double Scale = TinyPatch.Alpha / TinyPatch.Rank;
    private readonly string folder = Directory.CreateTempSubdirectory("diagnostics-").FullName;

    public UpdateDiagnosticsTests()
    {
        TinyModel.WriteCheckpoint(In("old"));
        TinyModel.WriteCheckpoint(In("new"), new() { Seed = 2 });
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(40)]
    public void Of_PatchOfAnyRank_EqualsTheDenseUpdate(int rank)
    {
        // Rank 40 is more than a weight has inputs, or keys have outputs.
        TinyPatch.WriteRank(In("patch"), In("old"), 1, rank, TinyPatch.Modules);
        LowRankPatch patch = LowRankPatch.Read(In("patch"));
        using SafetensorsFile old = SafetensorsFile.Open(Path.Combine(In("old"), "model.safetensors")), evolved = SafetensorsFile.Open(Path.Combine(In("new"), "model.safetensors"));

        UpdateDiagnostics found = UpdateDiagnostics.Of(patch, In("new"), In("old"));

        Assert.Equal(patch.Targets.Order(StringComparer.Ordinal), found.Targets.Select(target => target.Target));
        List<double> all = [];
        double weightSquares = 0, changeSquares = 0, inColumnSquares = 0;
        foreach (TargetDiagnostics target in found.Targets)
        {
            double[][] update = Update(patch, target.Target), weights = Matrix(evolved, target.Target), change = Minus(weights, Matrix(old, target.Target));
            (double[] values, double[][] left, double[][] right) = Decompose(update);
            all.AddRange(values);
            Assert.Equal(rank, target.Rank);
            Close(Math.Sqrt(Squares(update)), target.Frobenius);
            Close(values.Max(), target.Spectral);
            Close(EffectiveRank(values), target.EffectiveRank);
            Close(Math.Sqrt(Squares(update) / Squares(weights)), target.Weights!.Frobenius);
            Assert.Equal(values.Max() / Decompose(weights).Values.Max(), target.Weights.Spectral, 2e-3 * target.Weights.Spectral);
            Close(Math.Sqrt(Squares(change) / Squares(Matrix(old, target.Target))), target.Change!.Relative);

            // Each singular vector takes its part of the change.
            double inColumns = left.Sum(u => Enumerable.Range(0, change[0].Length).Sum(column => Square(change.Select((row, i) => u[i] * row[column]).Sum())));
            Close(inColumns / Squares(change), target.Change.InColumns);
            Close(right.Sum(v => change.Sum(row => Square(row.Zip(v, (x, y) => x * y).Sum()))) / Squares(change), target.Change.InRows);
            (weightSquares, changeSquares, inColumnSquares) = (weightSquares + Squares(weights), changeSquares + Squares(change), inColumnSquares + inColumns);
        }

        Close(Math.Sqrt(all.Sum(Square)), found.Total.Frobenius);
        Close(all.Max(), found.Total.Spectral);
        Close(EffectiveRank([.. all]), found.Total.EffectiveRank);
        Close(Math.Sqrt(all.Sum(Square) / weightSquares), found.Total.Weights!.Frobenius);
        Close(inColumnSquares / changeSquares, found.Total.Change!.InColumns);
        Assert.Equal((14 * rank, null, null), (found.Total.Rank, found.WeightsUnknown, found.ChangeUnknown));
    }

    [Fact]
    public void Of_SameWeights_GivesNoChange()
    {
        TinyPatch.Write(In("patch"), In("old"), 1, "q_proj");
        WeightChange change = UpdateDiagnostics.Of(LowRankPatch.Read(In("patch")), In("old"), In("old")).Total.Change!;
        Assert.Equal(new(0, 0, 0), change);
    }

    [Fact]
    public void Of_ChangeThatIsTheUpdate_LiesInItsSpaces()
    {
        TinyPatch.Write(In("patch"), In("old"), 1, TinyPatch.Modules);
        TinyPatch.WriteDense(In("dense"), In("old"), (In("patch"), 1));
        WeightChange change = UpdateDiagnostics.Of(LowRankPatch.Read(In("patch")), In("dense"), In("old")).Total.Change!;
        Assert.Equal(1, change.InColumns, 1e-5);
        Assert.Equal(1, change.InRows, 1e-5);
    }

    [Fact]
    public void Of_ZeroUpdate_HasRankZero()
    {
        TinyPatch.Write(In("patch"), In("old"), 1, "q_proj");
        TinyPatch.WriteConfig(In("patch"), config => config["lora_alpha"] = 0);
        TargetDiagnostics total = UpdateDiagnostics.Of(LowRankPatch.Read(In("patch")), In("new"), In("old")).Total;
        Assert.Equal((0, 0, 0, 0), (total.Frobenius, total.EffectiveRank, total.Change!.InColumns, total.Weights!.Spectral));
    }

    [Fact]
    public void Of_MissingWeights_GivesTheReason()
    {
        TinyPatch.Write(In("patch"), In("old"), 1, "q_proj");
        LowRankPatch patch = LowRankPatch.Read(In("patch"));
        CheckpointExporter.Export(In("old"), In("quantized"), bits: 4);

        UpdateDiagnostics quantized = UpdateDiagnostics.Of(patch, In("quantized"), In("old")), alone = UpdateDiagnostics.Of(patch, In("new")), donor = UpdateDiagnostics.Of(patch, In("new"), In("quantized"));

        Assert.Equal((null, null), (quantized.Total.Weights, quantized.Total.Change));
        Assert.True(quantized.Total.Frobenius > 0);
        Assert.All([quantized.WeightsUnknown, quantized.ChangeUnknown, donor.ChangeUnknown], why => Assert.StartsWith("'quantized' has no model.safetensors", why, StringComparison.Ordinal));
        Assert.Equal("the weights that the patch was trained on are not at hand", alone.ChangeUnknown);
        Assert.Null(alone.WeightsUnknown);
        Assert.NotNull(alone.Total.Weights);
        TinyModel.WriteCheckpoint(In("wide"), new() { Hidden = 48 });
        Assert.Contains("'model.layers.0.self_attn.q_proj.weight' is changed as [64, 32]", Assert.Throws<EngineException>(() => UpdateDiagnostics.Of(patch, In("wide"))).Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static double[][] Update(LowRankPatch patch, string target)
    {
        LowRankPair pair = patch.Pair(target)!;
        double scale = Scale * TinyPatch.Rank / pair.Rank;
        return [.. Enumerable.Range(0, pair.Outputs).Select(o => Enumerable.Range(0, pair.Inputs).Select(i =>
            scale * Enumerable.Range(0, pair.Rank).Sum(r => (double)pair.B[(o * pair.Rank) + r] * pair.A[(r * pair.Inputs) + i])).ToArray())];
    }

    /// <summary>One-sided Jacobi: rotates pairs of columns until all are orthogonal. Their norms are the singular values.</summary>
    private static (double[] Values, double[][] Left, double[][] Right) Decompose(double[][] matrix)
    {
        int rows = matrix.Length, columns = matrix[0].Length;
        double[][] u = [.. Enumerable.Range(0, columns).Select(c => matrix.Select(row => row[c]).ToArray())];
        double[][] v = [.. Enumerable.Range(0, columns).Select(c => Enumerable.Range(0, columns).Select(i => i == c ? 1.0 : 0).ToArray())];
        for (int sweep = 0; sweep < 30; sweep++)
        {
            for (int p = 0; p < columns; p++)
            {
                for (int q = p + 1; q < columns; q++)
                {
                    double a = u[p].Sum(Square), b = u[q].Sum(Square), c = u[p].Zip(u[q], (x, y) => x * y).Sum();
                    if (Math.Abs(c) < 1e-13 * Math.Sqrt(a * b) || c == 0)
                    {
                        continue;
                    }

                    double zeta = (b - a) / (2 * c), t = (zeta < 0 ? -1 : 1) / (Math.Abs(zeta) + Math.Sqrt(1 + (zeta * zeta))), cos = 1 / Math.Sqrt(1 + (t * t)), sin = cos * t;
                    Turn(u[p], u[q], cos, sin);
                    Turn(v[p], v[q], cos, sin);
                }
            }
        }

        double[] values = [.. u.Select(column => Math.Sqrt(column.Sum(Square)))];
        int[] real = [.. Enumerable.Range(0, columns).Where(i => values[i] > 1e-6 * values.Max())];
        return ([.. real.Select(i => values[i])], [.. real.Select(i => u[i].Select(x => x / values[i]).ToArray())], [.. real.Select(i => v[i])]);
    }

    private static void Turn(double[] p, double[] q, double cos, double sin)
    {
        for (int i = 0; i < p.Length; i++)
        {
            (p[i], q[i]) = ((cos * p[i]) - (sin * q[i]), (sin * p[i]) + (cos * q[i]));
        }
    }

    private static double EffectiveRank(double[] values) => Math.Exp(values.Sum(value => -value / values.Sum() * Math.Log(value / values.Sum())));

    private static double[][] Matrix(SafetensorsFile file, string name) =>
        [.. file.ReadFloat32(name).Chunk(file.Tensors[name].Shape[1]).Select(row => row.Select(value => (double)value).ToArray())];

    private static double[][] Minus(double[][] one, double[][] other) => [.. one.Zip(other, (x, y) => x.Zip(y, (a, b) => a - b).ToArray())];

    private static double Squares(double[][] matrix) => matrix.Sum(row => row.Sum(Square));

    private static double Square(double value) => value * value;

    private static void Close(double expected, double actual) => Assert.Equal(expected, actual, 1e-5 * expected);

    private string In(string name) => Path.Combine(folder, name);
}
