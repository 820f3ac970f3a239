using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Text;
using ProxyTune.Gateway.Answers;

namespace ProxyTune.Gateway.Chat;

/// <summary>Log-probabilities in the shape of the chat endpoint.</summary>
internal sealed record ChatLogprobs(IReadOnlyList<ChatTokenLogprob> Content)
{
    public string? Refusal { get; }

    public static ChatLogprobs Of(Tokenizer tokenizer, IReadOnlyList<AnswerToken> tokens) => new([.. tokens.Select(token => Token(tokenizer, token))]);

    private static ChatTokenLogprob Token(Tokenizer tokenizer, AnswerToken token) => new(
        TokenText.Of(tokenizer, token.Token.Id), TokenText.Finite(token.Token.Logprob), Bytes(tokenizer, token.Token.Id), [.. token.Token.Top.Select(top => Top(tokenizer, top))]);

    private static ChatTopLogprob Top(Tokenizer tokenizer, TokenLogprob top) => new(TokenText.Of(tokenizer, top.Id), TokenText.Finite(top.Logprob), Bytes(tokenizer, top.Id));

    private static int[] Bytes(Tokenizer tokenizer, int id) => [.. tokenizer.TokenBytes(id).Select(value => (int)value)];
}

/// <param name="Logprob">Always finite: clients cannot read an infinity.</param>
/// <param name="TopLogprobs">Empty, never null.</param>
internal sealed record ChatTokenLogprob(string Token, float Logprob, IReadOnlyList<int> Bytes, IReadOnlyList<ChatTopLogprob> TopLogprobs);

internal sealed record ChatTopLogprob(string Token, float Logprob, IReadOnlyList<int> Bytes);
