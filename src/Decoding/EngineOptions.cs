namespace ProxyTune.Decoding;

/// <summary>How models run.</summary>
public sealed record EngineOptions
{
    internal const string Cpu = "cpu";

    /// <summary><c>cpu</c> (default) or <c>cuda</c>; cuda is refused at the start if it is missing.</summary>
    public string ExecutionProvider { get; init; } = Cpu;

    /// <summary>Threads of the pool that all members share; 0 (default) takes the number of cores.</summary>
    public int Threads { get; init; }

    /// <summary>The largest number of sequences of one model, which are rows of its KV cache. Experts that are patches of one model, and their anti-expert, are sequences of this model. Default 64.</summary>
    public int MaxSequences { get; init; } = 64;

    /// <summary>
    /// Bytes for the keys and values of all models together. Running answers come first; the rest is the prefix cache. Null (default) takes a quarter of
    /// the memory that the process may use. Less than one answer of the context's length needs is refused at the start.
    /// </summary>
    public long? KeyValueBytes { get; init; }

    /// <summary>Bytes for patches in memory; the least recently used is evicted. Null (default) takes a sixteenth of the memory that the process may use.</summary>
    public long? PatchBytes { get; init; }
}
