using System.Globalization;

namespace ProxyTune.Load;

/// <summary>The random requests that a run sends.</summary>
/// <param name="Prompt">Range of prompt lengths in tokens; a length is drawn uniformly.</param>
/// <param name="Answer">Range of answer lengths in tokens; a length is drawn uniformly.</param>
/// <param name="Mix">Served models with their shares of the requests.</param>
/// <param name="Vocabulary">Number of tokens; prompts consist of ids below it.</param>
/// <param name="Banned">Token ids that the answers must not contain because they would end them early.</param>
internal sealed record LoadPlan(LengthRange Prompt, LengthRange Answer, IReadOnlyList<(string Model, double Share)> Mix, int Vocabulary, IReadOnlyList<int> Banned, int Seed)
{
    // The control tokens of the demo family have the lowest ids.
    private const int FirstWord = 5;

    /// <summary>The request with that number. It depends only on the plan and the number, not on the client that sends it.</summary>
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

    /// <summary>Reads shares such as "town-qa=3,town-base=1".</summary>
    public static (string Model, double Share)[] ParseMix(string text) =>
    [
        .. text.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(entry => entry.Split('=')).Select(parts =>
            (parts[0], parts.Length > 1 ? double.Parse(parts[1], CultureInfo.InvariantCulture) : 1)),
    ];
}

internal sealed record LoadRequest(int Number, string Model, int[] Prompt, int MaxTokens, IReadOnlyList<int> Banned);

/// <summary>A range of lengths in tokens, both ends included, written as "32" or "16-256".</summary>
internal readonly record struct LengthRange(int Min, int Max)
{
    public int Draw(Random random) => random.Next(Min, Max + 1);

    public override string ToString() => Min == Max ? $"{Min}" : $"{Min} to {Max}";

    public static LengthRange Parse(string text)
    {
        string[] ends = text.Split('-');
        int min = int.Parse(ends[0], CultureInfo.InvariantCulture), max = int.Parse(ends[^1], CultureInfo.InvariantCulture);
        return ends.Length <= 2 && min >= 1 && max >= min ? new(min, max) : throw new FormatException($"'{text}' is not a range of lengths. Accepted: a number from 1, such as '32', or two, such as '16-256'.");
    }
}
