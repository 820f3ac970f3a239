using System.Runtime.CompilerServices;
using System.Text;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Gateway.Answers;

/// <summary>The part of an answer that one token made certain.</summary>
/// <param name="Tokens">The tokens whose whole text is certain now. Log-probabilities are written for these.</param>
/// <param name="Finish">stop or length, on the last delta.</param>
/// <param name="Trace">On the last delta, where tokens were traced.</param>
internal sealed record AnswerDelta(string Text, IReadOnlyList<AnswerToken> Tokens, string? Finish, TraceSummary? Trace = null);

/// <param name="Offset">Where the token begins in the answer, in UTF-16 units.</param>
internal sealed record AnswerToken(GeneratedToken Token, int Offset);

/// <summary>One choice while it is generated: tokens in, text without stop strings out.</summary>
/// <param name="text">The text of the tokens.</param>
/// <param name="echo">The answer begins with it. Stop strings in it end nothing.</param>
internal sealed class Answer(int index, GenerationStream generation, TokenStream text, IReadOnlyList<string> stops, EchoedPrompt? echo) : IDisposable
{
    private readonly StopFilter filter = new(stops);
    private readonly TokenUsageCount usage = new(echo?.Text.Length ?? 0);
    private readonly List<AnswerToken> scored = [];
    private readonly TraceTotals totals = new();

    public int Index { get; } = index;

    /// <summary>Tokens of the prompt that were not computed, once there is a token.</summary>
    public int CachedTokens => generation.CachedTokens;

    /// <summary>Tokens drawn so far, the end-of-text token included.</summary>
    public int TokenCount { get; private set; }

    public async IAsyncEnumerable<AnswerDelta> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        if (echo is { IsScored: false })
        {
            yield return new AnswerDelta(echo.Text, [], null);
        }

        await foreach (GeneratedToken token in generation.Tokens.ReadAllAsync(cancellation))
        {
            totals.Add(token);
            AnswerDelta delta = token.OfPrompt ? Score(token, echo!) : Append(token);
            if (delta.Finish is not null)
            {
                yield return delta with { Trace = totals.Summary };
                generation.Dispose();
                yield break;
            }

            if (delta.Text.Length > 0 || delta.Tokens.Count > 0)
            {
                yield return delta;
            }
        }
    }

    public void Dispose() => generation.Dispose();

    /// <summary>The prompt as a whole, once its last token is scored.</summary>
    private AnswerDelta Score(GeneratedToken token, EchoedPrompt prompt)
    {
        scored.Add(new AnswerToken(token, prompt.Offsets[scored.Count]));
        return scored.Count < prompt.Offsets.Count ? new AnswerDelta("", [], null) : new AnswerDelta(prompt.Text, scored, Name(token.Finish));
    }

    private AnswerDelta Append(GeneratedToken token)
    {
        TokenCount++;
        string piece = "";
        if (token.Finish != FinishReason.Stop)
        {
            piece = text.Append(token.Id);
            usage.Add(token);
        }
        else if (echo is { IsScored: true })
        {
            // Evaluation harnesses find the prompt's tokens by counting from the end of the list.
            usage.Add(token);
        }

        if (token.Finish is not null)
        {
            piece += text.Finish();
        }

        usage.Advance(piece.Length);
        string certain = filter.Append(piece);
        if (token.Finish is not null)
        {
            certain += filter.Flush();
        }

        string? finish = filter.Stopped ? "stop" : Name(token.Finish);
        return new AnswerDelta(certain, usage.Release(certain.Length, last: finish is not null && !filter.Stopped), finish);
    }

    private static string? Name(FinishReason? finish) => finish switch
    {
        FinishReason.Stop => "stop",
        FinishReason.Length => "length",
        _ => null,
    };
}

/// <summary>
/// Ends a text before the first stop string that completes, and holds back the beginning of a stop string while it may still complete.
/// The result does not depend on how the text is cut into pieces.
/// </summary>
/// <remarks>Each character costs amortised constant time for each stop string (Knuth, Morris and Pratt 1977), however long the strings are.</remarks>
internal sealed class StopFilter(IReadOnlyList<string> stops)
{
    // For each stop string and length: the length of the longest proper beginning that is also an end of that beginning.
    private readonly int[][] borders = [.. stops.Select(Borders)];
    private readonly int[] matched = new int[stops.Count];
    private readonly StringBuilder held = new();

    /// <summary>Whether a stop string was found. The text behind it is not part of the answer.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Takes the next piece and returns the text that is now certain.</summary>
    public string Append(string piece)
    {
        if (Stopped)
        {
            return "";
        }

        foreach (char letter in piece)
        {
            held.Append(letter);
            if (LongestCompletedBy(letter) is var length and > 0)
            {
                Stopped = true;
                return Release(held.Length - length);
            }
        }

        int open = 0;
        foreach (int length in matched)
        {
            open = Math.Max(open, length);
        }

        return Release(held.Length - open);
    }

    /// <summary>The text has ended, so the rest that was held back belongs to it.</summary>
    public string Flush() => Stopped ? "" : Release(held.Length);

    /// <summary>The first by its end counts, and of several with that end the longest: then the answer is the same if it arrives letter by letter.</summary>
    private int LongestCompletedBy(char letter)
    {
        int longest = 0;
        for (int i = 0; i < matched.Length; i++)
        {
            string stop = stops[i];
            int length = matched[i];
            while (length > 0 && stop[length] != letter)
            {
                length = borders[i][length - 1];
            }

            matched[i] = length += stop[length] == letter ? 1 : 0;
            longest = length == stop.Length ? Math.Max(longest, length) : longest;
        }

        return longest;
    }

    private static int[] Borders(string stop)
    {
        int[] borders = new int[stop.Length];
        for (int i = 1, length = 0; i < stop.Length; i++)
        {
            while (length > 0 && stop[i] != stop[length])
            {
                length = borders[length - 1];
            }

            borders[i] = length += stop[i] == stop[length] ? 1 : 0;
        }

        return borders;
    }

    private string Release(int length)
    {
        string text = held.ToString(0, length);
        held.Remove(0, length);
        return text;
    }
}

/// <summary>
/// Holds back each token until its text is certain, so that log-probabilities do not show a stop string either.
/// </summary>
/// <param name="start">Characters of the answer before the first token's.</param>
internal sealed class TokenUsageCount(int start)
{
    private readonly Queue<(AnswerToken Token, int End)> settled = new();
    private readonly List<AnswerToken> unsettled = [];
    private int decoded = start;
    private int released = start;

    public void Add(GeneratedToken token) => unsettled.Add(new AnswerToken(token, decoded));

    /// <summary>The tokens that were added since the last text gave <paramref name="length"/> more characters; if they gave none, a character is unfinished.</summary>
    public void Advance(int length)
    {
        if (length == 0)
        {
            return;
        }

        decoded += length;
        unsettled.ForEach(token => settled.Enqueue((token, decoded)));
        unsettled.Clear();
    }

    /// <summary>The tokens that lie wholly within the text that was released so far.</summary>
    /// <param name="last">Whether the text has ended. Then tokens without text of their own are released too.</param>
    public IReadOnlyList<AnswerToken> Release(int length, bool last)
    {
        released += length;
        List<AnswerToken> tokens = [];
        while (settled.TryPeek(out (AnswerToken Token, int End) next) && next.End <= released)
        {
            tokens.Add(settled.Dequeue().Token);
        }

        if (last)
        {
            tokens.AddRange(unsettled);
            unsettled.Clear();
        }

        return tokens;
    }
}
