namespace ProxyTune.Checkpoints.Architectures;

/// <summary>The sizes of a decoder, from which the shapes of its tensors follow.</summary>
internal sealed record GgufSizes
{
    public required int Vocabulary { get; init; }

    public required int Hidden { get; init; }

    public required int Intermediate { get; init; }

    public required int Layers { get; init; }

    public required int Heads { get; init; }

    public required int KeyValueHeads { get; init; }

    public required int HeadSize { get; init; }

    public int Queries => Heads * HeadSize;

    public int Keys => KeyValueHeads * HeadSize;
}

/// <summary>A tensor under both its names.</summary>
/// <param name="File">The name in GGUF; in a layer without <c>blk.N.</c></param>
/// <param name="HuggingFace">The name in a checkpoint of Hugging Face; in a layer without <c>model.layers.N.</c></param>
/// <param name="Shape">Rows first.</param>
internal sealed record GgufName(string File, string HuggingFace, Func<GgufSizes, int[]> Shape)
{
    /// <summary>Whether a file may lack it.</summary>
    public bool IsOptional { get; init; }

    /// <summary>Whether rows of a head lie in rotary pairs if the family's do.</summary>
    public bool IsRotated { get; init; }

    /// <summary>Whether it is the weight of an RMSNorm.</summary>
    public bool IsNorm { get; init; }
}

/// <summary>The tensors of one architecture of llama.cpp (conversion/*.py and gguf-py/gguf/tensor_mapping.py there).</summary>
/// <param name="Layer">In the order in which a layer computes.</param>
internal sealed record GgufFamily(IReadOnlyList<GgufName> Layer)
{
    /// <summary>Whether the conversion moved rows 2i and 2i + 1 of a head together, for rotary pairs of neighbours.</summary>
    public bool HasPairs { get; init; }

    /// <summary>What the conversion added to the weights of norms. Gemma multiplies by 1 + weight, llama.cpp by the weight.</summary>
    public float NormShift { get; init; }
}

/// <summary>Names of tensors in GGUF and in Hugging Face's checkpoints, a table for each architecture.</summary>
internal static class GgufNames
{
    public const string Embedding = "token_embd.weight";
    public const string Head = "output.weight";

    /// <summary>Divisors of the rotary frequencies: of Llama 3.1 and its successors, and of LongRoPE. They are part of the configuration.</summary>
    public const string RopeFactors = "rope_freqs.weight", LongFactors = "rope_factors_long.weight", ShortFactors = "rope_factors_short.weight";

    private const string Weight = ".weight", Bias = ".bias";

    private static readonly GgufName[] Before =
    [
        new(Embedding, "model.embed_tokens.weight", size => [size.Vocabulary, size.Hidden]),
    ];

    private static readonly GgufName[] After =
    [
        Norm("output_norm", "model.norm", size => size.Hidden),
        new(Head, "lm_head.weight", size => [size.Vocabulary, size.Hidden]) { IsOptional = true },
    ];

    private static readonly GgufName[] Attention =
    [
        Linear("attn_q", "self_attn.q_proj", size => [size.Queries, size.Hidden]) with { IsRotated = true },
        Linear("attn_k", "self_attn.k_proj", size => [size.Keys, size.Hidden]) with { IsRotated = true },
        Linear("attn_v", "self_attn.v_proj", size => [size.Keys, size.Hidden]),
        Linear("attn_output", "self_attn.o_proj", size => [size.Hidden, size.Queries]),
    ];

    private static readonly GgufName[] FeedForward =
    [
        Linear("ffn_gate", "mlp.gate_proj", size => [size.Intermediate, size.Hidden]),
        Linear("ffn_up", "mlp.up_proj", size => [size.Intermediate, size.Hidden]),
        Linear("ffn_down", "mlp.down_proj", size => [size.Hidden, size.Intermediate]),
    ];

    private static readonly GgufName AttentionNorm = Norm("attn_norm", "input_layernorm", size => size.Hidden);

    private static readonly GgufName FeedForwardNorm = Norm("ffn_norm", "post_attention_layernorm", size => size.Hidden);

    private static readonly GgufName[] HeadNorms =
    [
        Norm("attn_q_norm", "self_attn.q_norm", size => size.HeadSize),
        Norm("attn_k_norm", "self_attn.k_norm", size => size.HeadSize),
    ];

    // Gemma and OLMo 2 call the norms by where they stand.
    private static readonly GgufName AfterAttention = Norm("post_attention_norm", "post_attention_layernorm", size => size.Hidden);

    private static readonly GgufName AfterFeedForward = Norm("post_ffw_norm", "post_feedforward_layernorm", size => size.Hidden);

    private static readonly GgufName[] Llama = [AttentionNorm, .. Attention, FeedForwardNorm, .. FeedForward];

    // attention_bias and mlp_bias of config.json.
    private static readonly GgufName[] LlamaBiases = [.. Attention.Concat(FeedForward).Select(linear => BiasOf(linear) with { IsOptional = true })];

    private static readonly GgufName[] Gemma2 =
    [
        AttentionNorm, .. Attention, AfterAttention, Norm("ffn_norm", "pre_feedforward_layernorm", size => size.Hidden), .. FeedForward, AfterFeedForward,
    ];

    /// <summary>By general.architecture. Mistral's files are llama.</summary>
    public static readonly IReadOnlyDictionary<string, GgufFamily> Families = new Dictionary<string, GgufFamily>
    {
        ["llama"] = new([.. Llama, .. LlamaBiases]) { HasPairs = true },
        ["qwen2"] = new([.. Llama, .. Attention[..3].Select(BiasOf)]),
        ["qwen3"] = new([.. Llama, .. HeadNorms]),
        ["smollm3"] = new([.. Llama, .. LlamaBiases]) { HasPairs = true },
        ["granite"] = new([.. Llama, .. LlamaBiases]) { HasPairs = true },
        ["gemma2"] = new(Gemma2) { NormShift = 1 },
        ["gemma3"] = new([.. Gemma2, .. HeadNorms]) { NormShift = 1 },
        ["olmo2"] = new(
        [
            .. Attention, AfterAttention, .. FeedForward, AfterFeedForward,
            Norm("attn_q_norm", "self_attn.q_norm", size => size.Queries), Norm("attn_k_norm", "self_attn.k_norm", size => size.Keys),
        ]),
        ["phi3"] = new(
        [
            AttentionNorm,
            Linear("attn_qkv", "self_attn.qkv_proj", size => [size.Queries + (2 * size.Keys), size.Hidden]),
            Attention[3],
            FeedForwardNorm,
            Linear("ffn_up", "mlp.gate_up_proj", size => [2 * size.Intermediate, size.Hidden]),
            FeedForward[2],
        ]),
    };

    /// <summary>All tensors of a decoder with their whole names, in the order in which it computes.</summary>
    public static IEnumerable<GgufName> InOrder(GgufFamily family, int layers) =>
    [
        .. Before,
        .. Enumerable.Range(0, layers).SelectMany(layer => family.Layer.Select(name => name with { File = $"blk.{layer}.{name.File}", HuggingFace = $"model.layers.{layer}.{name.HuggingFace}" })),
        .. After,
    ];

    private static GgufName Linear(string file, string huggingFace, Func<GgufSizes, int[]> shape) => new(file + Weight, huggingFace + Weight, shape);

    private static GgufName Norm(string file, string huggingFace, Func<GgufSizes, int> width) =>
        new(file + Weight, huggingFace + Weight, size => [width(size)]) { IsNorm = true };

    private static GgufName BiasOf(GgufName linear) =>
        linear with { File = linear.File.Replace(Weight, Bias, StringComparison.Ordinal), HuggingFace = linear.HuggingFace.Replace(Weight, Bias, StringComparison.Ordinal), Shape = size => linear.Shape(size)[..1] };
}
