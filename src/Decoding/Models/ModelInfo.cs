namespace ProxyTune.Decoding.Models;

/// <summary>What is known of a model before it runs.</summary>
public sealed record ModelInfo
{
    public required string Name { get; init; }

    /// <summary>Width of a logits row.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Most tokens that a sequence can hold.</summary>
    public required int ContextLength { get; init; }

    /// <summary>The ids that end a text.</summary>
    public required IReadOnlyList<int> EndOfTextIds { get; init; }

    /// <summary>SHA-256 over graph and weight files, lower-case hex.</summary>
    public required string Hash { get; init; }

    /// <summary>What keys and values of its sequences take; null where it keeps none here.</summary>
    internal KeyValueSize? KeyValues { get; init; }

    /// <summary>Runs behind a network: it gives one row per call, which knows only the likeliest tokens, and may be slow or down.</summary>
    public bool IsRemote { get; init; }
}
