namespace ProxyTune.Peers;

/// <summary>Someone who writes greedy answers over the same weights, as its users would have it do so.</summary>
internal abstract class Contender : IAsyncDisposable
{
    /// <summary>Whole requests at once: reads the prompts, all of one length, and writes <paramref name="tokens"/> tokens each.</summary>
    /// <returns>What was written, for each prompt.</returns>
    public abstract Task<int[][]> GenerateAsync(int[][] prompts, int tokens);

    public virtual ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
