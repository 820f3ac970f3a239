namespace ProxyTune.Peers;

/// <summary>An engine that writes greedy answers from the same weights, used as its documentation recommends.</summary>
internal abstract class InferenceEngine : IAsyncDisposable
{
    /// <summary>Answers all prompts at once, with <paramref name="tokens"/> tokens each. All prompts have the same length.</summary>
    /// <returns>The token ids of the answer to each prompt.</returns>
    public abstract Task<int[][]> GenerateAsync(int[][] prompts, int tokens);

    public virtual ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
