using MathNet.Numerics.LinearAlgebra;
using MathNet.Numerics.LinearAlgebra.Factorization;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>The singular values and vectors of dW = (alpha / r) B A, computed from its factors. No matrix of the computation is larger than the factors.</summary>
/// <remarks>
/// B = Q_b R_b and A^T = Q_a R_a, so dW = Q_b (s R_b R_a^T) Q_a^T, and the core between the Q, at most r by r, has the singular values of dW.
/// With core = X S Y^T the vectors are Q_b X and Q_a Y.
/// </remarks>
/// <param name="Values">At most r singular values in descending order.</param>
/// <param name="Left">The left singular vector [out] of each value that is not zero up to rounding.</param>
/// <param name="Right">The right singular vector [in] of each of these values.</param>
internal sealed record UpdateSpectrum(IReadOnlyList<double> Values, IReadOnlyList<float[]> Left, IReadOnlyList<float[]> Right)
{
    // The relative precision of the factors, which are float32, with a margin.
    private const double Rounding = 1e-6;

    public static UpdateSpectrum Of(LowRankPair pair)
    {
        // B is [out, r], row-major. A in row-major order is A^T in column-major order.
        Matrix<double> b = Matrix<double>.Build.DenseOfRowMajor(pair.Outputs, pair.Rank, pair.B.Select(value => (double)value));
        Matrix<double> a = Matrix<double>.Build.DenseOfColumnMajor(pair.Inputs, pair.Rank, pair.A.Select(value => (double)value));
        (Matrix<double>? qb, Matrix<double> rb) = Factors(b);
        (Matrix<double>? qa, Matrix<double> ra) = Factors(a);
        Svd<double> core = (pair.Scale * rb * ra.Transpose()).Svd(computeVectors: true);
        int count = core.S.Count(value => value > Rounding * core.S[0]);
        Matrix<double> x = core.U.SubMatrix(0, core.U.RowCount, 0, count), y = core.VT.SubMatrix(0, count, 0, core.VT.ColumnCount).Transpose();
        return new([.. core.S], Columns(qb is null ? x : qb * x), Columns(qa is null ? y : qa * y));
    }

    /// <summary>The factors Q and R; for a matrix with more columns than rows, R is the matrix itself.</summary>
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
