using ProxyTune.Decoding.Generation;

namespace ProxyTune.Gateway.Answers;

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
