using System.Text;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Gateway.Answers;

/// <summary>Tokens and their log-probabilities as JSON can hold them.</summary>
internal static class TokenText
{
    // A banned token's log-probability is minus infinity, which JSON cannot hold. OpenAI writes this number.
    private const float Impossible = -9999;

    public static string Of(Tokenizer tokenizer, int id) => Encoding.UTF8.GetString(tokenizer.TokenBytes(id));

    public static float Finite(float? logprob) => logprob is { } value && float.IsFinite(value) ? value : Impossible;
}
