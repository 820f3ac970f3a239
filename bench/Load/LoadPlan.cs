using System.Globalization;

namespace ProxyTune.Load;

/// <summary>What is asked of the server.</summary>
/// <param name="Prompt">Tokens, drawn evenly.</param>
/// <param name="Answer">Tokens, drawn evenly.</param>
/// <param name="Mix">Served models with their shares.</param>
/// <param name="Vocabulary">Prompts are made of token ids below it.</param>
/// <param name="Banned">Token ids that no answer may use: those that would end it early.</param>
internal sealed record LoadPlan(Span Prompt, Span Answer, IReadOnlyList<(string Model, double Share)> Mix, int Vocabulary, IReadOnlyList<int> Banned, int Seed)
{
    // The demo family's control tokens come first.
    private const int FirstWord = 5;

    /// <summary>The same for the same number, whoever sends it.</summary>
    public LoadRequest Request(int number)
    {
        Random random = new(HashCode.Combine(Seed, number));
        double place = random.NextDouble() * Mix.Sum(entry => entry.Share);
        string model = Mix[^1].Model;
        foreach ((string candidate, double share) in Mix)
        {
            place -= share;
            if (place < 0)
            {
                model = candidate;
                break;
            }
        }

        int[] prompt = [.. Enumerable.Range(0, Prompt.Draw(random)).Select(_ => random.Next(FirstWord, Vocabulary))];
        return new(number, model, prompt, Answer.Draw(random), Banned);
    }

    /// <summary>"town-qa=3,town-base=1".</summary>
    public static (string Model, double Share)[] ParseMix(string text) =>
    [
        .. text.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(entry => entry.Split('=')).Select(parts =>
            (parts[0], parts.Length > 1 ? double.Parse(parts[1], CultureInfo.InvariantCulture) : 1)),
    ];
}

internal sealed record LoadRequest(int Number, string Model, int[] Prompt, int MaxTokens, IReadOnlyList<int> Banned);

/// <summary>A range of lengths, ends included: "32" or "16-256".</summary>
internal readonly record struct Span(int Least, int Most)
{
    public int Draw(Random random) => random.Next(Least, Most + 1);

    public override string ToString() => Least == Most ? $"{Least}" : $"{Least} to {Most}";

    public static Span Parse(string text)
    {
        string[] ends = text.Split('-');
        int least = int.Parse(ends[0], CultureInfo.InvariantCulture), most = int.Parse(ends[^1], CultureInfo.InvariantCulture);
        return ends.Length <= 2 && least >= 1 && most >= least ? new(least, most) : throw new FormatException($"'{text}' is no range; '32' or '16-256' is needed.");
    }
}
