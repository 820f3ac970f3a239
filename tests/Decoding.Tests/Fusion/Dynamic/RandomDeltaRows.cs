using ProxyTune.Decoding.Fusion;

namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>Rows of one position. An absent side is null.</summary>
internal sealed record RandomDeltaRows(float[] Base, params (float[]? Plus, float[]? Minus)[] Deltas)
{
    /// <summary>Random rows with typical and extreme values: flat to peaked, deltas small to large, related to the base or not, banned tokens, equal sides, an absent one.</summary>
    public static RandomDeltaRows Draw(Random random, int experts, int width)
    {
        float[] @base = Row(random, width, Scale(random)), shared = Row(random, width, 1);
        float[] anti = random.Next(4) == 0 ? @base : Mix(Row(random, width, Scale(random)), @base, random.NextSingle());
        (float[]? Plus, float[]? Minus)[] deltas = new (float[]? Plus, float[]? Minus)[experts];
        for (int t = 0; t < experts; t++)
        {
            float[] change = Mix(Row(random, width, Scale(random)), random.Next(2) == 0 ? shared : @base, random.NextSingle());
            deltas[t] = random.Next(30) switch
            {
                0 => (anti, anti),
                1 => (change, null),
                2 => (null, change),
                _ => (Mix(anti, change, 1), anti),
            };
        }

        float[][] rows = [@base, .. deltas.SelectMany(d => new[] { d.Plus, d.Minus }).OfType<float[]>()];
        for (int banned = random.Next(5) == 0 ? random.Next(1, width / 2) : 0; banned > 0; banned--)
        {
            rows[random.Next(rows.Length)][random.Next(width)] = float.NegativeInfinity;
        }

        return new(@base, deltas);
    }

    /// <summary>Normal logits. In a third of the cases one logit is far above the rest.</summary>
    public static float[] Row(Random random, int width, double scale)
    {
        float[] row = new float[width];
        for (int i = 0; i < width; i++)
        {
            row[i] = (float)(scale * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()));
        }

        if (random.Next(3) == 0)
        {
            row[random.Next(width)] += (float)(scale * random.NextDouble() * 8);
        }

        return row;
    }

    /// <summary>Normal logits, rounded to eighths, so that a constant of a few thousand can be added without rounding.</summary>
    public static float[] Eighths(Random random, int width) => [.. Row(random, width, 2).Select(x => MathF.Round(8 * x) / 8)];

    /// <summary>The rows with a constant added to the base, to each plus side and to each minus side.</summary>
    public RandomDeltaRows Shifted(float ofBase, float ofPlus, float ofMinus)
    {
        return new(Plus(Base, ofBase)!, [.. Deltas.Select(d => (Plus(d.Plus, ofPlus), Plus(d.Minus, ofMinus)))]);

        static float[]? Plus(float[]? row, float constant) => row?.Select(x => x + constant).ToArray();
    }

    public bool Allows(int i) => Deltas.SelectMany(d => new[] { d.Plus, d.Minus }).Append(Base).All(row => row is null || float.IsFinite(row[i]));

    /// <summary>The factors that the rule chooses.</summary>
    public (double[] Factors, bool Saturated) Choose(IFusionRule rule, params float[] previous)
    {
        float[] factors = new float[Deltas.Length];
        bool saturated = rule.Choose(new(Base, [.. Deltas.Select(d => new DeltaRows(d.Plus, d.Minus))], previous), factors);
        return ([.. factors.Select(f => (double)f)], saturated);
    }

    /// <summary>The rows of one expert, limited to the tokens that all rows allow.</summary>
    public RandomDeltaRows Only(int t) => new([.. Base.Select((s, i) => Allows(i) ? s : float.NegativeInfinity)], Deltas[t]);

    /// <summary>The rows without banned tokens.</summary>
    public RandomDeltaRows Allowed()
    {
        return new(Keep(Base)!, [.. Deltas.Select(d => (Keep(d.Plus), Keep(d.Minus)))]);

        float[]? Keep(float[]? row) => row?.Where((_, i) => Allows(i)).ToArray();
    }

    /// <summary>A scale from 0.01 to 10, uniform in its logarithm.</summary>
    private static double Scale(Random random) => Math.Pow(10, (random.NextDouble() * 3) - 2);

    private static float[] Mix(float[] one, float[] other, float share) => [.. one.Zip(other, (x, y) => x + (share * y))];
}
