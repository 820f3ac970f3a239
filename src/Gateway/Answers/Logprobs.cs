namespace ProxyTune.Gateway.Answers;

/// <summary>Log-probabilities in the shape of the chat endpoint.</summary>
internal sealed record ChatLogprobs(IReadOnlyList<ChatTokenLogprob> Content)
{
    public string? Refusal { get; }
}

/// <param name="Logprob">Always finite: clients cannot read an infinity.</param>
/// <param name="TopLogprobs">Empty, never null.</param>
internal sealed record ChatTokenLogprob(
    string Token, float Logprob, IReadOnlyList<int> Bytes, IReadOnlyList<ChatTopLogprob> TopLogprobs);

internal sealed record ChatTopLogprob(string Token, float Logprob, IReadOnlyList<int> Bytes);

/// <summary>Log-probabilities in the shape of the older endpoint: parallel lists.</summary>
/// <param name="TokenLogprobs">Null for the first token of an echoed prompt, which nothing comes before; so in <paramref name="TopLogprobs"/>.</param>
/// <param name="TextOffset">Where each token begins in the answer's text, in UTF-16 units.</param>
internal sealed record CompletionLogprobs(
    IReadOnlyList<string> Tokens,
    IReadOnlyList<float?> TokenLogprobs,
    IReadOnlyList<IReadOnlyDictionary<string, float>?> TopLogprobs,
    IReadOnlyList<int> TextOffset);
