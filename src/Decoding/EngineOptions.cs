namespace ProxyTune.Decoding;

/// <summary>How models run.</summary>
public sealed record EngineOptions
{
    internal const string Cpu = "cpu";

    /// <summary><c>cpu</c> (default) or <c>cuda</c>; asking for cuda where it is missing is an error at start.</summary>
    public string ExecutionProvider { get; init; } = Cpu;

    /// <summary>Threads of the one pool that all members share; 0 takes the number of cores.</summary>
    public int Threads { get; init; }

    /// <summary>Rows of the KV arena per model, and so the most sequences of one model. Experts of patches and their anti-expert are sequences of one model. Default 64.</summary>
    public int MaxSequences { get; init; } = 64;

    /// <summary>
    /// Bytes for the keys and values of all models together: those of running answers, and in what they leave prefixes of earlier texts.
    /// Null (default) takes a quarter of the memory that the process may use. Too little for one answer as long as the context is an error
    /// at start.
    /// </summary>
    public long? KeyValueBytes { get; init; }

    /// <summary>Bytes for the patches that are kept in memory, least recently used out. Null (default) takes a sixteenth of the memory that the process may use.</summary>
    public long? PatchBytes { get; init; }
}
