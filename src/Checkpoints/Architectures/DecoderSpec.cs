using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>What a decoder is made of, whatever its family and the format that it was read from.</summary>
public sealed record DecoderSpec
{
    /// <summary>Rows of the embedding.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Width of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width of the feed-forward network.</summary>
    public required int IntermediateSize { get; init; }

    public required int Layers { get; init; }

    /// <summary>Query heads of a layer.</summary>
    public required int Heads { get; init; }

    /// <summary>Key and value heads of a layer; divides <see cref="Heads"/>.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Dimensions of a head; even.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Longest context, in tokens.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Base of the rotary angles, see <see cref="RotaryTable"/>; above 1.</summary>
    public double RopeTheta { get; init; } = 10_000;

    /// <summary>Added to the mean of squares in RMSNorm; above 0 and below 1.</summary>
    public double NormEpsilon { get; init; } = 1e-6;

    /// <summary>Whether the head is the embedding.</summary>
    public bool TiedHead { get; init; }

    /// <summary>The token that begins a text; null where there is none.</summary>
    public int? BeginId { get; init; }

    /// <summary>The token that fills rows up; null where there is none.</summary>
    public int? PadId { get; init; }

    /// <summary>The tokens that end a text; may be empty.</summary>
    public IReadOnlyList<int> EndIds { get; init; } = [];

    /// <summary>Reads the config.json of a checkpoint in Hugging Face's layout, and generation_config.json where there is one.</summary>
    /// <exception cref="EngineException">InvalidModelFolder: no config.json, a family or a field that is not supported, a missing or impossible size; names file, field, value and what is accepted.</exception>
    public static DecoderSpec Read(string folder)
    {
        JsonFields config = JsonFields.Read(Path.Combine(folder, FileNames.Config));
        DecoderSpec spec = config.FindText("model_type") switch
        {
            LlamaConfig.ModelType or null => LlamaConfig.Read(config),
            _ => throw config.Wrong("model_type", LlamaConfig.ModelType),
        };

        // As in transformers, generation_config.json has the last word on when to stop.
        string generation = Path.Combine(folder, FileNames.GenerationConfig);
        return File.Exists(generation) && JsonFields.Read(generation).Ids(LlamaConfig.EndIds) is { Count: > 0 } ends ? spec with { EndIds = ends } : spec;
    }
}
