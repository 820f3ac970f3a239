using System.Runtime.CompilerServices;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Gateway.Answers;

/// <summary>What became certain of an answer with one token.</summary>
/// <param name="Tokens">The tokens whose whole text is certain now, for log-probabilities.</param>
/// <param name="Finish">stop or length, on the last delta.</param>
/// <param name="Trace">On the last delta, where tokens were traced.</param>
internal sealed record AnswerDelta(string Text, IReadOnlyList<AnswerToken> Tokens, string? Finish, TraceSummary? Trace = null);

/// <param name="Offset">Where the token begins in the answer, in UTF-16 units.</param>
internal sealed record AnswerToken(GeneratedToken Token, int Offset);

/// <summary>One choice while it is generated: tokens in, text without stop strings out.</summary>
/// <param name="echo">Comes first, and no stop string is looked for in it.</param>
internal sealed class Answer(int index, GenerationStream generation, Tokenizer tokenizer, IReadOnlyList<string> stops, EchoedPrompt? echo) : IDisposable
{
    private readonly TokenStream text = tokenizer.Stream();
    private readonly StopFilter filter = new(stops);
    private readonly TokenUsageCount ledger = new(echo?.Text.Length ?? 0);
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
            ledger.Add(token);
        }
        else if (echo is { IsScored: true })
        {
            // Evaluation harnesses count from the end of the list to find the prompt's share of it.
            ledger.Add(token);
        }

        if (token.Finish is not null)
        {
            piece += text.Finish();
        }

        ledger.Advance(piece.Length);
        string certain = filter.Append(piece);
        if (token.Finish is not null)
        {
            certain += filter.Flush();
        }

        string? finish = filter.Stopped ? "stop" : Name(token.Finish);
        return new AnswerDelta(certain, ledger.Release(certain.Length, last: finish is not null && !filter.Stopped), finish);
    }

    private static string? Name(FinishReason? finish) => finish switch
    {
        FinishReason.Stop => "stop",
        FinishReason.Length => "length",
        _ => null,
    };
}

/// <summary>
/// Ends a text before the first stop string that completes, and never lets the beginning of one out while it may still complete.
/// The result does not depend on how the text is cut into pieces.
/// </summary>
internal sealed class StopFilter(IReadOnlyList<string> stops)
{
    private string held = "";

    /// <summary>A stop string was met; what follows is not part of the answer.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Takes the next piece and returns the text that is now certain.</summary>
    public string Append(string piece)
    {
        if (Stopped)
        {
            return "";
        }

        held += piece;
        if (FirstToComplete() is { } start)
        {
            Stopped = true;
            return Release(start);
        }

        return Release(held.Length - LongestOpenPrefix());
    }

    /// <summary>No more text comes: what was held back is text after all.</summary>
    public string Flush() => Stopped ? "" : Release(held.Length);

    /// <summary>By where they end, not where they begin: so the answer is the same when it arrives letter by letter.</summary>
    private int? FirstToComplete() =>
        stops.Select(stop => (Start: held.IndexOf(stop, StringComparison.Ordinal), stop.Length))
            .Where(match => match.Start >= 0)
            .OrderBy(match => match.Start + match.Length)
            .ThenBy(match => match.Start)
            .Select(match => (int?)match.Start)
            .FirstOrDefault();

    private int LongestOpenPrefix()
    {
        int longest = 0;
        foreach (string stop in stops)
        {
            for (int length = Math.Min(stop.Length - 1, held.Length); length > longest; length--)
            {
                if (held.EndsWith(stop[..length], StringComparison.Ordinal))
                {
                    longest = length;
                }
            }
        }

        return longest;
    }

    private string Release(int length)
    {
        string text = held[..length];
        held = held[length..];
        return text;
    }
}

/// <summary>
/// Keeps each token back until the text that it contributed to is certain, so that log-probabilities never tell a stop string either.
/// </summary>
/// <param name="start">Characters of the answer before the first token's.</param>
internal sealed class TokenUsageCount(int start)
{
    private readonly Queue<(AnswerToken Token, int End)> settled = new();
    private readonly List<AnswerToken> unsettled = [];
    private int decoded = start;
    private int released = start;

    public void Add(GeneratedToken token) => unsettled.Add(new AnswerToken(token, decoded));

    /// <summary>The tokens added since the last text produced <paramref name="length"/> more characters; with none, a character is unfinished.</summary>
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

    /// <summary>Tokens that lie wholly within the text let out so far.</summary>
    /// <param name="last">No more text comes, so tokens without text of their own are let out too.</param>
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
