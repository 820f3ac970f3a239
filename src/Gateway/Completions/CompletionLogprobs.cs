using System.Globalization;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Text;
using ProxyTune.Gateway.Answers;

namespace ProxyTune.Gateway.Completions;

/// <summary>Log-probabilities in the shape of the older endpoint: parallel lists.</summary>
/// <param name="TokenLogprobs">Null for the first token of an echoed prompt, because nothing comes before it; so in <paramref name="TopLogprobs"/>.</param>
/// <param name="TextOffset">Where each token begins in the answer's text, in UTF-16 units.</param>
internal sealed record CompletionLogprobs(
    IReadOnlyList<string> Tokens,
    IReadOnlyList<float?> TokenLogprobs,
    IReadOnlyList<IReadOnlyDictionary<string, float>?> TopLogprobs,
    IReadOnlyList<int> TextOffset)
{
    /// <param name="asIds">Whether tokens are named by their ids instead of their texts.</param>
    public static CompletionLogprobs Of(Tokenizer tokenizer, IReadOnlyList<AnswerToken> tokens, bool asIds)
    {
        return new(
            [.. tokens.Select(token => Name(token.Token.Id))],
            [.. tokens.Select(token => token.Token.Logprob is { } logprob ? TokenText.Finite(logprob) : (float?)null)],
            [.. tokens.Select(token => token.Token.Logprob is null ? null : Top(token.Token))],
            [.. tokens.Select(token => token.Offset)]);

        string Name(int id) => asIds ? string.Create(CultureInfo.InvariantCulture, $"token_id:{id}") : TokenText.Of(tokenizer, id);

        // Several tokens may have one text (halves of a character). The likeliest of them comes first and is kept.
        Dictionary<string, float> Top(GeneratedToken token)
        {
            Dictionary<string, float> top = [];
            foreach (TokenLogprob candidate in token.Top)
            {
                top.TryAdd(Name(candidate.Id), TokenText.Finite(candidate.Logprob));
            }

            return top;
        }
    }
}
