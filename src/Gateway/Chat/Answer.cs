using System.Runtime.CompilerServices;

using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Gateway.Chat;

/// <summary>What became certain of an answer with one token.</summary>
/// <param name="Tokens">The tokens whose whole text is certain now, for log-probabilities.</param>
/// <param name="Finish">stop or length, on the last delta.</param>
internal sealed record AnswerDelta(string Text, IReadOnlyList<AnswerToken> Tokens, string? Finish);

/// <param name="Offset">Where the token begins in the answer, in UTF-16 units.</param>
internal sealed record AnswerToken(GeneratedToken Token, int Offset);

/// <summary>One choice while it is generated: tokens in, text without stop strings out.</summary>
internal sealed class Answer(int index, Generation generation, Tokenizer tokenizer, IReadOnlyList<string> stops) : IDisposable
{
    private readonly TokenStream text = tokenizer.Stream();
    private readonly StopFilter filter = new(stops);
    private readonly TokenLedger ledger = new();

    public int Index { get; } = index;

    /// <summary>Tokens drawn so far, the end-of-text token included.</summary>
    public int TokenCount { get; private set; }

    public async IAsyncEnumerable<AnswerDelta> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        await foreach (GeneratedToken token in generation.Tokens.ReadAllAsync(cancellation))
        {
            AnswerDelta delta = Append(token);
            if (delta.Text.Length > 0 || delta.Tokens.Count > 0 || delta.Finish is not null)
            {
                yield return delta;
            }

            if (delta.Finish is not null)
            {
                generation.Dispose();
                yield break;
            }
        }
    }

    public void Dispose() => generation.Dispose();

    private AnswerDelta Append(GeneratedToken token)
    {
        TokenCount++;
        string piece = "";
        if (token.Finish != FinishReason.Stop)
        {
            piece = text.Append(token.Id);
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

        string? finish = filter.Stopped ? "stop" : token.Finish switch
        {
            FinishReason.Stop => "stop",
            FinishReason.Length => "length",
            _ => null,
        };
        return new AnswerDelta(certain, ledger.Release(certain.Length, last: finish is not null && !filter.Stopped), finish);
    }
}
