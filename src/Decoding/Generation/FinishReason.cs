namespace ProxyTune.Decoding.Generation;

public enum FinishReason
{
    /// <summary>An end-of-text id of one of the streams' models was drawn.</summary>
    Stop,

    /// <summary>MaxTokens or the context's end was reached.</summary>
    Length,
}
