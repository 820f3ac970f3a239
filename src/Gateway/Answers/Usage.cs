namespace ProxyTune.Gateway.Answers;

/// <summary>Tokens are counted with the end-of-text token; a prompt counts once however many choices it has.</summary>
internal sealed record Usage(int PromptTokens, int CompletionTokens, PromptTokensDetails PromptTokensDetails)
{
    public int TotalTokens => PromptTokens + CompletionTokens;
}

/// <param name="CachedTokens">Those that need not be computed, since an earlier prompt or answer began with them.</param>
internal sealed record PromptTokensDetails(int CachedTokens);
