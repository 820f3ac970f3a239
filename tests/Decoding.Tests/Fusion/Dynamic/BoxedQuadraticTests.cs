using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

public sealed class BoxedQuadraticTests
{
    /// <summary>At the minimum, each derivative is 0, or pushes against the bound where that factor stands.</summary>
    [Fact]
    public void Minimise_RandomProblems_MeetsTheConditionsOfTheMinimum()
    {
        Random random = new(1);
        for (int i = 0; i < 1000; i++)
        {
            int n = random.Next(1, 5);
            double[] gradient = Draw(random, n, 3), hessian = Positive(random, n), a = [.. Draw(random, n, 1).Select(x => 1 + x)], change = Draw(random, n, 9);
            BoxedQuadratic.Minimise(gradient, hessian, a, new(0, 2), change);
            for (int t = 0; t < n; t++)
            {
                double slope = gradient[t] + Enumerable.Range(0, n).Sum(s => hessian[(t * n) + s] * change[s]), at = a[t] + change[t];
                Assert.InRange(at, -1e-12, 2 + 1e-12);
                double wrong = at <= 1e-12 ? -slope : at >= 2 - 1e-12 ? slope : Math.Abs(slope);
                Assert.True(wrong <= 1e-7, $"case {i}: slope {slope} at {at}");
            }
        }
    }

    [Fact]
    public void Minimise_MinimumInsideTheBox_IsTheNewtonStep()
    {
        double[] change = new double[2];
        BoxedQuadratic.Minimise([-1, 0.5], [2, 0.5, 0.5, 1], [1, 1], new(0, 2), change);

        // H x = -g with H = (2, 0.5; 0.5, 1): x = (5/7, -6/7).
        Assert.Equal([5 / 7.0, -6 / 7.0], change, (x, y) => Math.Abs(x - y) < 1e-9);
    }

    private static double[] Draw(Random random, int count, double scale) => [.. Enumerable.Range(0, count).Select(_ => scale * ((2 * random.NextDouble()) - 1))];

    /// <summary>M M' + 0.1: positive definite.</summary>
    private static double[] Positive(Random random, int n)
    {
        double[] m = Draw(random, n * n, 1), product = new double[n * n];
        for (int i = 0; i < n * n; i++)
        {
            product[i] = Enumerable.Range(0, n).Sum(k => m[(i / n * n) + k] * m[(i % n * n) + k]) + (i / n == i % n ? 0.1 : 0);
        }

        return product;
    }
}
