using System.Globalization;
using System.Text;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Gateway.Answers;

/// <summary>Log-probabilities on the wire, in the shape of either endpoint.</summary>
internal static class LogprobWriter
{
    // A banned token's log-probability is minus infinity, which JSON cannot say; OpenAI writes this number.
    private const float Impossible = -9999;

    public static ChatLogprobs Chat(Tokenizer tokenizer, IReadOnlyList<AnswerToken> tokens) =>
        new([.. tokens.Select(token => ChatToken(tokenizer, token.Token))]);

    /// <summary>How a completion's log-probabilities call a token: by its text, or by its id.</summary>
    public static Func<int, string> Names(Tokenizer tokenizer, bool asIds) =>
        asIds ? id => string.Create(CultureInfo.InvariantCulture, $"token_id:{id}") : id => Text(tokenizer.TokenBytes(id));

    public static CompletionLogprobs Completion(Func<int, string> nameOf, IReadOnlyList<AnswerToken> tokens) =>
        new(
            [.. tokens.Select(token => nameOf(token.Token.Id))],
            [.. tokens.Select(token => token.Token.Logprob is { } logprob ? Finite(logprob) : (float?)null)],
            [.. tokens.Select(token => token.Token.Logprob is null ? null : TopByName(nameOf, token.Token))],
            [.. tokens.Select(token => token.Offset)]);

    public static float Finite(float? logprob) => logprob is { } value && float.IsFinite(value) ? value : Impossible;

    private static ChatTokenLogprob ChatToken(Tokenizer tokenizer, GeneratedToken token)
    {
        byte[] bytes = tokenizer.TokenBytes(token.Id);
        return new ChatTokenLogprob(Text(bytes), Finite(token.Logprob), Numbers(bytes), [.. token.Top.Select(top => ChatTop(tokenizer, top))]);
    }

    private static ChatTopLogprob ChatTop(Tokenizer tokenizer, TokenLogprob top)
    {
        byte[] bytes = tokenizer.TokenBytes(top.Id);
        return new ChatTopLogprob(Text(bytes), Finite(top.Logprob), Numbers(bytes));
    }

    /// <summary>Two tokens may have one text (halves of a character): the likelier one, which comes first, is kept.</summary>
    private static Dictionary<string, float> TopByName(Func<int, string> nameOf, GeneratedToken token)
    {
        Dictionary<string, float> top = [];
        foreach (TokenLogprob candidate in token.Top)
        {
            top.TryAdd(nameOf(candidate.Id), Finite(candidate.Logprob));
        }

        return top;
    }

    private static string Text(byte[] bytes) => Encoding.UTF8.GetString(bytes);

    private static int[] Numbers(byte[] bytes) => [.. bytes.Select(value => (int)value)];
}
