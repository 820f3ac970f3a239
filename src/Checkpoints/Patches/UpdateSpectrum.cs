using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.LinearAlgebra.Factorization;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>Singular values and vectors of dW = (alpha / r) B A, from its factors: no matrix is larger than these.</summary>
/// <remarks>
/// B = Q_b R_b and A^T = Q_a R_a, so dW = Q_b (s R_b R_a^T) Q_a^T, and the core between the Q, at most r by r, has the singular values of dW.
/// With core = X S Y^T the vectors are Q_b X and Q_a Y.
/// </remarks>
/// <param name="Values">The largest first; at most r.</param>
/// <param name="Left">Of each value that is not zero up to rounding: [out].</param>
/// <param name="Right">As <paramref name="Left"/>: [in].</param>
internal sealed record UpdateSpectrum(IReadOnlyList<double> Values, IReadOnlyList<float[]> Left, IReadOnlyList<float[]> Right)
{
    // The factors are float32.
    private const double Rounding = 1e-6;

    public static UpdateSpectrum Of(LowRankPair pair)
    {
        // B is [out, r] by rows; A by rows is A^T by columns.
        Matrix<double> b = Matrix<double>.Build.DenseOfRowMajor(pair.Outputs, pair.Rank, pair.B.Select(value => (double)value));
        Matrix<double> a = Matrix<double>.Build.DenseOfColumnMajor(pair.Inputs, pair.Rank, pair.A.Select(value => (double)value));
        (Matrix<double>? qb, Matrix<double> rb) = Factors(b);
        (Matrix<double>? qa, Matrix<double> ra) = Factors(a);
        Svd<double> core = (pair.Scale * rb * ra.Transpose()).Svd(computeVectors: true);
        int count = core.S.Count(value => value > Rounding * core.S[0]);
        Matrix<double> x = core.U.SubMatrix(0, core.U.RowCount, 0, count), y = core.VT.SubMatrix(0, count, 0, core.VT.ColumnCount).Transpose();
        return new([.. core.S], Columns(qb is null ? x : qb * x), Columns(qa is null ? y : qa * y));
    }

    /// <summary>Q R, or the matrix alone where it is wider than high.</summary>
    private static (Matrix<double>? Q, Matrix<double> R) Factors(Matrix<double> matrix)
    {
        if (matrix.RowCount < matrix.ColumnCount)
        {
            return (null, matrix);
        }

        QR<double> factors = matrix.QR(QRMethod.Thin);
        return (factors.Q, factors.R);
    }

    private static float[][] Columns(Matrix<double> matrix) => [.. matrix.EnumerateColumns().Select(column => column.Select(value => (float)value).ToArray())];
}
