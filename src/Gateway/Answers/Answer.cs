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
