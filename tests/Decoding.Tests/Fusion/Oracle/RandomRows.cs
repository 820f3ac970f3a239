namespace ProxyTune.Decoding.Tests.Fusion;

/// <summary>
/// Rows as models may give them, a function of the model's name and the tokens: flat and peaked, with equal logits, with banned tokens. Half
/// of the time all models favour the same token.
/// </summary>
internal static class RandomRows
{
    public static void Fill(string name, IReadOnlyList<int> tokens, Span<float> row)
    {
        Random own = new(Seed(tokens.Concat(name.Select(c => (int)c)))), common = new(tokens[^1]);
        double scale = own.Next(3) switch { 0 => 0.5, 1 => 2, _ => 6 };
        bool rounded = own.Next(4) == 0;
        for (int id = 0; id < row.Length; id++)
        {
            double normal = Math.Sqrt(-2 * Math.Log(1 - own.NextDouble())) * Math.Cos(2 * Math.PI * own.NextDouble());
            row[id] = (float)(rounded ? Math.Round(normal * scale * 2) / 2 : normal * scale);
        }

        if (common.Next(2) == 0)
        {
            row[common.Next(200)] += 3 * (float)scale + 8;
        }

        int banned = own.Next(3) == 0 ? 12 : 0;
        for (int i = 0; i < banned; i++)
        {
            row[own.Next(row.Length)] = float.NegativeInfinity;
        }
    }

    private static int Seed(IEnumerable<int> values)
    {
        uint hash = 2166136261;
        foreach (int value in values)
        {
            hash = (hash ^ (uint)value) * 16777619;
        }

        return (int)(hash & int.MaxValue);
    }
}
