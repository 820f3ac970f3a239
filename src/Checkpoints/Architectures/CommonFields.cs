using System.Text.Json;
using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>The fields of config.json that the families have in common. A field that nobody reads is refused, unless it is known to change nothing.</summary>
internal static class CommonFields
{
    public const string VocabularySize = "vocab_size";
    public const string HiddenSize = "hidden_size";
    public const string IntermediateSize = "intermediate_size";
    public const string Layers = "num_hidden_layers";
    public const string Heads = "num_attention_heads";
    public const string KeyValueHeads = "num_key_value_heads";
    public const string HeadSize = "head_dim";
    public const string ContextLength = "max_position_embeddings";
    public const string NormEpsilon = "rms_norm_eps";
    public const string TiedHead = "tie_word_embeddings";
    public const string BeginId = "bos_token_id";
    public const string EndIds = "eos_token_id";
    public const string PadId = "pad_token_id";
    public const string HiddenActivation = "hidden_act";
    public const string AttentionBias = "attention_bias";
    public const string FeedForwardBias = "mlp_bias";
    public const string Window = "sliding_window";
    public const string UsesWindow = "use_sliding_window";
    public const string LayerTypes = "layer_types";

    private const int MaxSize = 1 << 24;
    private const double UsualEpsilon = 1e-6;

    private static readonly Dictionary<string, Activation> Activations = new()
    {
        ["silu"] = Architectures.Activation.Silu,
        ["swish"] = Architectures.Activation.Silu,
        ["gelu_pytorch_tanh"] = Architectures.Activation.GeluTanh,
        ["gelu"] = Architectures.Activation.Gelu,
        ["relu"] = Architectures.Activation.Relu,
    };

    private static readonly HashSet<string> Read = [.. RopeFields.Names.Concat(
    [
        VocabularySize, HiddenSize, IntermediateSize, Layers, Heads, KeyValueHeads, HeadSize, ContextLength, NormEpsilon, TiedHead, BeginId, EndIds, PadId, HiddenActivation,
        "model_type", "architectures", "quantization_config",
    ])];

    // Fields for training, for sampling by transformers, for how transformers computes, and for tools: none changes the logits.
    private static readonly HashSet<string> WithoutEffect =
    [
        "dtype", "torch_dtype", "transformers_version", "_name_or_path", "name_or_path", "auto_map", "use_cache", "cache_implementation", "initializer_range",
        "attention_dropout", "attn_pdrop", "embd_pdrop", "resid_pdrop", "hidden_dropout", "hidden_dropout_prob", "dropout", "pretraining_tp", "_attn_implementation",
        "attn_implementation", "_attn_implementation_autoset", "transformers.js_config", "is_llama_config", "unsloth_fixed", "unsloth_version", "tokenizer_class",
        "sep_token_id", "decoder_start_token_id", "output_attentions", "output_hidden_states", "return_dict", "return_dict_in_generate", "output_scores", "torchscript",
        "problem_type", "id2label", "label2id", "num_labels", "finetuning_task", "task_specific_params", "prefix", "chunk_size_feed_forward", "max_length", "min_length",
        "do_sample", "early_stopping", "num_beams", "num_beam_groups", "diversity_penalty", "temperature", "top_k", "top_p", "typical_p", "repetition_penalty",
        "length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "num_return_sequences", "remove_invalid_values", "use_bfloat16", "is_decoder",
        "gradient_checkpointing", "_from_model_config", "bos_token", "eos_token", "pad_token",
    ];

    /// <summary>Reads the sizes and the other common fields. A field that is left out has the default of transformers.</summary>
    /// <param name="family">The value of model_type.</param>
    /// <param name="own">The names of the fields that the family reads itself.</param>
    /// <exception cref="EngineException">InvalidModelFolder, naming file, field, value and what is accepted.</exception>
    public static DecoderSpec Of(JsonFields config, string family, params string[] own)
    {
        RefuseOthers(config, family, own);
        (int hidden, int heads) = (config.Integer(HiddenSize, 1, MaxSize), config.Integer(Heads, 1, MaxSize));
        DecoderSpec spec = new()
        {
            Family = family,
            VocabularySize = config.Integer(VocabularySize, 1, MaxSize),
            HiddenSize = hidden,
            IntermediateSize = config.Integer(IntermediateSize, 1, MaxSize),
            Layers = config.Integer(Layers, 1, MaxSize),
            Heads = heads,
            KeyValueHeads = config.FindInteger(KeyValueHeads, 1, MaxSize) ?? heads,
            HeadSize = config.FindInteger(HeadSize, 1, MaxSize) ?? hidden / heads,
            ContextLength = config.Integer(ContextLength, 1, MaxSize),
            NormEpsilon = config.FindNumber(NormEpsilon) ?? UsualEpsilon,
            Activation = ActivationOf(config, HiddenActivation),
            TiedHead = config.FindFlag(TiedHead) ?? false,
            BeginId = config.FindInteger(BeginId, 0),
            EndIds = config.Ids(EndIds),
            PadId = config.FindInteger(PadId),
        };
        spec = heads % spec.KeyValueHeads != 0 ? throw config.Wrong(KeyValueHeads, $"a divisor of {Heads} ({heads})")
            : spec.HeadSize < 2 || spec.HeadSize % 2 != 0 ? throw config.Wrong(HeadSize, $"an even number; where it is missing, {HiddenSize} / {Heads} ({hidden} / {heads}) is one")
            : spec.NormEpsilon is <= 0 or >= 1 ? throw config.Wrong(NormEpsilon, "a number above 0 and below 1")
            : spec;
        return RopeFields.Of(config, spec);
    }

    /// <summary>Adds the defaults of a family's class in transformers for fields that the file does not have. A field that is null stays null.</summary>
    public static JsonFields WithDefaults(this JsonFields config, params (string Name, JsonNode? Value)[] defaults)
    {
        JsonObject json = JsonObject.Create(config.Json)!;
        foreach ((string name, JsonNode? value) in defaults)
        {
            json.TryAdd(name, value);
        }

        return config with { Json = JsonSerializer.SerializeToElement(json) };
    }

    /// <summary>Biases of all projections of attention, and of the feed-forward network, where the fields say so.</summary>
    public static DecoderSpec WithBiases(this DecoderSpec spec, JsonFields config)
    {
        bool attention = config.FindFlag(AttentionBias) ?? false;
        return spec with { QueryKeyValueBias = attention, OutputBias = attention, FeedForwardBias = config.FindFlag(FeedForwardBias) ?? false };
    }

    /// <summary>Sets the attention of each layer.</summary>
    /// <param name="window">The window of a layer whose type is sliding_attention; null for none.</param>
    /// <param name="slides">Which layers slide if the file has no layer_types.</param>
    public static DecoderSpec WithLayers(this DecoderSpec spec, JsonFields config, int? window, Func<int, bool> slides, Func<int, bool>? hasRope = null)
    {
        bool[] sliding = Types(config, spec.Layers) ?? [.. Enumerable.Range(0, spec.Layers).Select(slides)];
        LayerAttention[] layers = [.. sliding.Select((slides, layer) => new LayerAttention(slides ? window : null, hasRope?.Invoke(layer) ?? true))];
        return spec with { Attentions = Array.TrueForAll(layers, layer => layer == LayerAttention.Full) ? [] : layers };
    }

    public static int? FindWindow(this JsonFields config) => config.FindInteger(Window, 1);

    /// <summary>A number above 0, or null.</summary>
    public static double? FindPositive(this JsonFields config, string name) =>
        config.FindNumber(name) is not { } number ? null : number > 0 ? number : throw config.Wrong(name, "a number above 0");

    public static Activation ActivationOf(JsonFields config, string field) =>
        config.FindText(field) is not { } name ? Architectures.Activation.Silu
        : Activations.TryGetValue(name, out Activation activation) ? activation
        : throw config.Wrong(field, string.Join(", ", Activations.Keys));

    /// <summary>Refuses a value that the family does not have.</summary>
    public static void AcceptOnly(this JsonFields config, string name, string accepted)
    {
        if (config.Find(name) is { } value && value.ToString() != accepted)
        {
            throw config.Wrong(name, accepted);
        }
    }

    private static bool[]? Types(JsonFields config, int layers)
    {
        if (config.Find(LayerTypes) is not { } types)
        {
            return null;
        }

        const string Accepted = "a list with sliding_attention or full_attention for each layer";
        return types.ValueKind == JsonValueKind.Array && types.GetArrayLength() == layers
            ? [.. types.EnumerateArray().Select(type => type.ToString() switch
            {
                "sliding_attention" => true,
                "full_attention" => false,
                _ => throw config.Wrong(LayerTypes, Accepted),
            })]
            : throw config.Wrong(LayerTypes, Accepted);
    }

    private static void RefuseOthers(JsonFields config, string family, string[] own)
    {
        HashSet<string> read = [.. Read, .. own];
        foreach (JsonProperty field in config.Json.EnumerateObject().Where(field => !read.Contains(field.Name) && !WithoutEffect.Contains(field.Name) && !IsNothing(field.Value)))
        {
            throw config.Wrong(field.Name, $"null: the field is not known of the family {family}, and it could change what the model computes");
        }
    }

    private static bool IsNothing(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => true,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => !value.EnumerateObject().Any(),
        _ => false,
    };
}
