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

    /// <summary>The family, as model_type of config.json names it.</summary>
    public string Family { get; init; } = LlamaConfig.ModelType;

    /// <summary>Longest context, in tokens.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Base of the rotary angles, see <see cref="RotaryTable"/>; above 1.</summary>
    public double RopeTheta { get; init; } = 10_000;

    /// <summary>The change of the rotary frequencies; null for none.</summary>
    public RopeScaling? RopeScaling { get; init; }

    /// <summary>The rotary positions of layers with a window; null for those of the other layers.</summary>
    public RopeSpec? WindowRope { get; init; }

    /// <summary>The number of a head's dimensions that rotate, from the first one; even. Null for all.</summary>
    public int? RotarySize { get; init; }

    /// <summary>The attention of each layer; empty if all layers see the whole text and have rotary positions.</summary>
    public IReadOnlyList<LayerAttention> Attentions { get; init; } = [];

    /// <summary>Added to the mean of squares in RMSNorm; above 0 and below 1.</summary>
    public double NormEpsilon { get; init; } = 1e-6;

    /// <summary>Where a layer normalises. Default: the inputs of attention and of the feed-forward network.</summary>
    public NormPlaces Norms { get; init; } = NormPlaces.Before;

    /// <summary>Whether RMSNorm multiplies by 1 + weight.</summary>
    public bool NormsAddOne { get; init; }

    /// <summary>Whether queries and keys are normalised before they rotate.</summary>
    public HeadNorm HeadNorm { get; init; }

    /// <summary>The function of the gate.</summary>
    public Activation Activation { get; init; }

    /// <summary>Whether the projections to queries, keys and values have biases.</summary>
    public bool QueryKeyValueBias { get; init; }

    /// <summary>Whether the projection from attention has a bias.</summary>
    public bool OutputBias { get; init; }

    /// <summary>Whether the feed-forward network has biases.</summary>
    public bool FeedForwardBias { get; init; }

    /// <summary>Whether the checkpoint has one weight for queries, keys and values, and one for gate and up.</summary>
    public bool FusedProjections { get; init; }

    /// <summary>The factor of the scores of attention; null for 1 / sqrt(<see cref="HeadSize"/>).</summary>
    public double? AttentionScale { get; init; }

    /// <summary>Scores s of attention become c tanh(s / c); null for none. Above 0.</summary>
    public double? AttentionSoftCap { get; init; }

    /// <summary>Logits z become c tanh(z / c); null for none. Above 0.</summary>
    public double? LogitsSoftCap { get; init; }

    /// <summary>The factor of embeddings.</summary>
    public double EmbeddingScale { get; init; } = 1;

    /// <summary>The factor of what a layer adds to the residual stream.</summary>
    public double ResidualScale { get; init; } = 1;

    /// <summary>The divisor of the logits; not 0.</summary>
    public double LogitsDivisor { get; init; } = 1;

    /// <summary>Whether the head is the embedding.</summary>
    public bool TiedHead { get; init; }

    /// <summary>The token that begins a text; null where there is none.</summary>
    public int? BeginId { get; init; }

    /// <summary>The token that fills rows up; null where there is none.</summary>
    public int? PadId { get; init; }

    /// <summary>The tokens that end a text; may be empty.</summary>
    public IReadOnlyList<int> EndIds { get; init; } = [];

    /// <summary>The rotary positions of layers without a window.</summary>
    internal RopeSpec Rope => new(RopeTheta, RopeScaling);

    /// <summary>The scaling with a kind of positions for long texts; null if the decoder has one kind.</summary>
    internal LongRopeScaling? LongRope => RopeScaling as LongRopeScaling;

    /// <summary>Whether the decoder is like Llama 2. All other features have their defaults.</summary>
    internal bool IsPlain => this == new DecoderSpec
    {
        VocabularySize = VocabularySize,
        HiddenSize = HiddenSize,
        IntermediateSize = IntermediateSize,
        Layers = Layers,
        Heads = Heads,
        KeyValueHeads = KeyValueHeads,
        HeadSize = HeadSize,
        ContextLength = ContextLength,
        RopeTheta = RopeTheta,
        NormEpsilon = NormEpsilon,
        TiedHead = TiedHead,
        BeginId = BeginId,
        PadId = PadId,
        EndIds = EndIds,
    };

    internal LayerAttention AttentionOf(int layer) => Attentions.Count == 0 ? LayerAttention.Full : Attentions[layer];

    /// <summary>Reads the config.json of a checkpoint in Hugging Face's layout, and generation_config.json where there is one.</summary>
    /// <exception cref="EngineException">InvalidModelFolder: no config.json, a family or a field that is not supported, a missing or impossible size; names file, field, value and what is accepted.</exception>
    public static DecoderSpec Read(string folder)
    {
        JsonFields config = JsonFields.Read(Path.Combine(folder, FileNames.Config));
        DecoderSpec spec = Families.Read(config);

        // As in transformers, generation_config.json has the last word on when to stop.
        string generation = Path.Combine(folder, FileNames.GenerationConfig);
        return File.Exists(generation) && JsonFields.Read(generation).Ids(CommonFields.EndIds) is { Count: > 0 } ends ? spec with { EndIds = ends } : spec;
    }
}

/// <summary>The attention of one layer.</summary>
/// <param name="Window">The number of newest positions that a position sees, including itself; null for all.</param>
/// <param name="HasRope">Whether queries and keys rotate.</param>
public readonly record struct LayerAttention(int? Window, bool HasRope)
{
    /// <summary>The whole text, with rotary positions.</summary>
    public static readonly LayerAttention Full = new(null, true);
}

/// <summary>Where the norms of a layer stand.</summary>
[Flags]
public enum NormPlaces
{
    None = 0,

    /// <summary>At the inputs of attention and of the feed-forward network.</summary>
    Before = 1,

    /// <summary>At their outputs, before the sum with the residual stream.</summary>
    After = 2,
}

/// <summary>The RMSNorm of queries and of keys.</summary>
public enum HeadNorm
{
    None,

    /// <summary>Over each head, with one weight for all heads.</summary>
    EachHead,

    /// <summary>Over all heads together.</summary>
    AllHeads,
}

/// <summary>The function of the gate in the feed-forward network.</summary>
public enum Activation
{
    /// <summary>x / (1 + exp(-x)).</summary>
    Silu,

    /// <summary>GELU with tanh: x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).</summary>
    GeluTanh,

    /// <summary>GELU with erf.</summary>
    Gelu,

    /// <summary>max(0, x).</summary>
    Relu,
}
