using System.Numerics.Tensors;
using MathNet.Numerics.LinearAlgebra;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>Computes |W|_2 of a large matrix by Lanczos bidiagonalisation (Golub and Kahan 1965). A step takes two passes over W. The estimate grows towards |W|_2 from below.</summary>
internal static class LargestSingularValue
{
    private const int MinSteps = 8, MaxSteps = 40;

    // The search ends if a step gains less than this, relative to the value. The remaining error is a few times larger.
    private const double Gain = 1e-4;

    /// <param name="matrix">The matrix, row-major.</param>
    public static double Of(float[] matrix, int columns)
    {
        int rows = matrix.Length / columns;
        List<double> diagonal = [], above = [];
        float[] u = new float[rows], v = new float[columns], nextU = new float[rows], nextV = new float[columns];
        Random random = new(1);
        for (int i = 0; i < columns; i++)
        {
            v[i] = random.NextSingle() - 0.5f;
        }

        Normalize(v);
        double value = 0;
        for (int step = 0; step < Math.Min(MaxSteps, Math.Min(rows, columns)); step++)
        {
            // u = W v - above u.
            for (int row = 0; row < rows; row++)
            {
                nextU[row] = TensorPrimitives.Dot<float>(matrix.AsSpan(row * columns, columns), v) - (step == 0 ? 0 : (float)above[^1] * u[row]);
            }

            (u, nextU) = (nextU, u);
            diagonal.Add(Normalize(u));

            // v = W^T u - diagonal v.
            TensorPrimitives.Multiply(v, -(float)diagonal[^1], nextV);
            for (int row = 0; row < rows; row++)
            {
                TensorPrimitives.MultiplyAdd(matrix.AsSpan(row * columns, columns), u[row], nextV, nextV);
            }

            (v, nextV) = (nextV, v);
            above.Add(Normalize(v));
            double last = value;
            value = Largest(diagonal, above);
            if (above[^1] == 0 || (step >= MinSteps && value - last <= Gain * value))
            {
                break;
            }
        }

        return value;
    }

    /// <returns>The length of the vector before.</returns>
    private static double Normalize(float[] vector)
    {
        double length = Math.Sqrt(vector.Sum(value => (double)value * value));
        if (length > 0)
        {
            TensorPrimitives.Multiply(vector, (float)(1 / length), vector);
        }

        return length;
    }

    private static double Largest(List<double> diagonal, List<double> above) => Matrix<double>.Build
        .Dense(diagonal.Count, diagonal.Count, (row, column) => column == row ? diagonal[row] : column == row + 1 ? above[row] : 0)
        .Svd(computeVectors: false).S[0];
}
