using ProxyTune.Decoding.Generation;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>Writes an answer with its log-probabilities and traces as one text, so that two answers can be compared.</summary>
internal static class WholeAnswer
{
    public static string Of(IEnumerable<GeneratedToken> tokens) => string.Join('\n', tokens.Select(Of));

    private static string Of(GeneratedToken token)
    {
        string top = string.Join(' ', token.Top.Select(one => $"{one.Id}:{one.Logprob:R}"));
        string trace = token.Trace is not { } t ? "" :
            $"{string.Join(' ', t.Weights)} | {string.Join(' ', t.Streams)} | {t.BaseChoice} {t.BaseChoiceLogprob:R} {t.Divergence:R} {t.Kept} {t.Saturated} {t.Gated}";
        return $"{token.Id} {token.OfPrompt} {token.Logprob:R} {token.Finish} [{top}] {trace}";
    }
}
