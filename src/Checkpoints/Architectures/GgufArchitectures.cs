using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>
/// What a GGUF file says of its decoder, as the config.json that Hugging Face has for it. The readers of config.json then know the family.
/// A key of the architecture that is not known is refused, since it could change what the model computes.
/// </summary>
internal sealed class GgufArchitectures
{
    public const string Architecture = "general.architecture";

    private const string Layers = "block_count";
    private const string FeedForward = "feed_forward_length";
    private const string Hidden = "embedding_length";
    private const string Heads = "attention.head_count", KeyValueHeads = "attention.head_count_kv";
    private const string KeySize = "attention.key_length", ValueSize = "attention.value_length";
    private const string Context = "context_length";
    private const string Epsilon = "attention.layer_norm_rms_epsilon";
    private const string Window = "attention.sliding_window";
    private const string Vocabulary = "vocab_size";

    private const int MaxSize = 1 << 24;

    // Gemma's scale of scores is not in the file. As in llama.cpp, the 27B models, known by their layers, differ from the others.
    private const int LargeGemma2Layers = 46, LargeGemma3Layers = 62;

    // They say how the file was made, or must have the value that is given.
    private static readonly Dictionary<string, object?> WithoutEffect = new()
    {
        ["tensor_data_layout"] = null,
        ["expert_count"] = 0,
        ["expert_used_count"] = 0,
        ["use_parallel_residual"] = false,
        ["attention.causal"] = true,
    };

    private readonly GgufFile file;
    private readonly string name;
    private readonly HashSet<string> read = [];

    private GgufArchitectures(GgufFile file)
    {
        this.file = file;
        name = file.Metadata.Text(Architecture);
        Family = GgufNames.Families.TryGetValue(name, out GgufFamily? family)
            ? family
            : throw file.Metadata.Wrong(Architecture, $"one of {string.Join(", ", GgufNames.Families.Keys.Order(StringComparer.Ordinal))}");
        Sizes = ReadSizes();
        Config = ReadConfig();
        RefuseOthers();
    }

    public GgufFamily Family { get; }

    public GgufSizes Sizes { get; }

    /// <summary>config.json without the ids of the tokenizer.</summary>
    public JsonObject Config { get; }

    /// <exception cref="EngineException">InvalidModelFolder: an architecture or a key that is not supported, a missing or impossible value; names file, key, value and what is accepted.</exception>
    public static GgufArchitectures Read(GgufFile file) => new(file);

    private GgufMetadata Metadata => file.Metadata;

    private GgufSizes ReadSizes()
    {
        // Every layer has a tensor, so a forged number of layers is no reason for a long search.
        int layers = Metadata.Integer(Key(Layers), 1, Math.Max(1, file.Tensors.Count)), hidden = Metadata.Integer(Key(Hidden), 1, MaxSize), heads = Same(Heads) ?? throw Metadata.Wrong(Key(Heads), "an integer of at least 1");
        if (heads > MaxSize || (Metadata.Find(Key(KeySize)) is null && hidden % heads != 0))
        {
            throw Metadata.Wrong(Key(Heads), $"a divisor of {Key(Hidden)} ({hidden}), since {Key(KeySize)} is missing");
        }

        int keyValueHeads = Same(KeyValueHeads) ?? heads, headSize = Metadata.FindInteger(Key(KeySize), 2, MaxSize) ?? hidden / heads;
        if (!file.Tensors.TryGetValue(GgufNames.Embedding, out GgufTensorInfo? embedding))
        {
            throw EngineException.InFile(file.Path, $"tensor '{GgufNames.Embedding}' is missing.", GgufNames.Embedding);
        }

        int vocabulary = embedding.Shape[0];
        return heads % keyValueHeads != 0 ? throw Metadata.Wrong(Key(KeyValueHeads), $"a divisor of {Key(Heads)} ({heads})")
            : headSize % 2 != 0 ? throw Metadata.Wrong(Key(KeySize), $"an even number; where it is missing, {Key(Hidden)} / {Key(Heads)} ({hidden} / {heads}) is one")
            : (Metadata.FindInteger(Key(ValueSize)) ?? headSize) != headSize ? throw Metadata.Wrong(Key(ValueSize), $"{headSize}, the size of keys")
            : (Metadata.FindInteger(Key(Vocabulary)) ?? vocabulary) != vocabulary ? throw Metadata.Wrong(Key(Vocabulary), $"{vocabulary}, the rows of {GgufNames.Embedding}")
            : new()
            {
                Vocabulary = vocabulary,
                Hidden = hidden,
                Intermediate = Same(FeedForward) ?? throw Metadata.Wrong(Key(FeedForward), "an integer of at least 1"),
                Layers = layers,
                Heads = heads,
                KeyValueHeads = keyValueHeads,
                HeadSize = headSize,
            };
    }

    private JsonObject ReadConfig()
    {
        double epsilon = Metadata.FindNumber(Key(Epsilon)) is { } number and > 0 and < 1 ? number : throw Metadata.Wrong(Key(Epsilon), "a number above 0 and below 1");
        JsonObject config = new()
        {
            ["vocab_size"] = Sizes.Vocabulary,
            ["hidden_size"] = Sizes.Hidden,
            ["intermediate_size"] = Sizes.Intermediate,
            ["num_hidden_layers"] = Sizes.Layers,
            ["num_attention_heads"] = Sizes.Heads,
            ["num_key_value_heads"] = Sizes.KeyValueHeads,
            ["head_dim"] = Sizes.HeadSize,
            ["max_position_embeddings"] = Metadata.Integer(Key(Context), 1, MaxSize),

            // The shortest decimal of the float32 value: 1E-05 and not 9.99999974737875E-06.
            ["rms_norm_eps"] = (float)epsilon,
            ["tie_word_embeddings"] = !file.Tensors.ContainsKey(GgufNames.Head),
            ["torch_dtype"] = "float32",
        };
        GgufRope.Add(config, file, name, Sizes, Key);
        switch (name)
        {
            case "llama":
                AddLlama(config);
                break;
            case "qwen2":
                Name(config, "qwen2", "Qwen2ForCausalLM");
                break;
            case "qwen3":
                Name(config, "qwen3", "Qwen3ForCausalLM");
                break;
            case "smollm3":
                Name(config, "smollm3", "SmolLM3ForCausalLM");
                AddBiases(config);
                break;
            case "granite":
                Name(config, "granite", "GraniteForCausalLM");
                AddBiases(config);
                AddNumber(config, "embedding_multiplier", "embedding_scale");
                AddNumber(config, "residual_multiplier", "residual_scale");
                AddNumber(config, "logits_scaling", "logit_scale");
                AddNumber(config, "attention_multiplier", "attention.scale", 1 / Math.Sqrt(Sizes.HeadSize));
                break;
            case "gemma2" or "gemma3":
                AddGemma(config);
                break;
            case "olmo2":
                Name(config, "olmo2", "Olmo2ForCausalLM");
                break;
            case "phi3":
                Name(config, "phi3", "Phi3ForCausalLM");
                config["sliding_window"] = Metadata.FindInteger(Key(Window), 0) is { } window and > 0 ? window : null;
                break;
        }

        config["hidden_act"] ??= "silu";
        return config;
    }

    private void AddLlama(JsonObject config)
    {
        if (Metadata.FindInteger(Key(Window), 0) is { } window and > 0)
        {
            Name(config, "mistral", "MistralForCausalLM");
            config["sliding_window"] = window;
            return;
        }

        Name(config, "llama", "LlamaForCausalLM");
        AddBiases(config);
    }

    private void AddBiases(JsonObject config)
    {
        AddBias(config, "attention_bias", "attn_");
        AddBias(config, "mlp_bias", "ffn_");
    }

    /// <summary>A family has all biases of attention or none, and so for the feed-forward network.</summary>
    private void AddBias(JsonObject config, string field, string part)
    {
        string[] biases = [.. Family.Layer.Select(name => name.File).Where(name => name.StartsWith(part, StringComparison.Ordinal) && name.EndsWith(".bias", StringComparison.Ordinal))];
        string[] whole = [.. Enumerable.Range(0, Sizes.Layers).SelectMany(layer => biases.Select(bias => $"blk.{layer}.{bias}"))];
        int given = whole.Count(file.Tensors.ContainsKey);
        config[field] = given == 0 ? false : given == whole.Length ? true
            : throw EngineException.InFile(file.Path, $"tensor '{whole.First(bias => !file.Tensors.ContainsKey(bias))}' is missing, but '{whole.First(file.Tensors.ContainsKey)}' is not; accepted are all biases of {part[..^1]} or none.");
    }

    private void AddGemma(JsonObject config)
    {
        bool isThird = name == "gemma3";
        Name(config, isThird ? "gemma3_text" : "gemma2", isThird ? "Gemma3ForCausalLM" : "Gemma2ForCausalLM");
        config["hidden_act"] = "gelu_pytorch_tanh";
        config["hidden_activation"] = "gelu_pytorch_tanh";
        config["query_pre_attn_scalar"] = Sizes.Layers == (isThird ? LargeGemma3Layers : LargeGemma2Layers) ? Sizes.Hidden / Sizes.Heads : Sizes.HeadSize;
        config["attn_logit_softcapping"] = Cap("attn_logit_softcapping");
        config["final_logit_softcapping"] = Cap("final_logit_softcapping");
        config["sliding_window"] = Metadata.FindInteger(Key(Window), 1);
    }

    private double? Cap(string key) => Metadata.FindNumber(Key(key)) is not { } cap ? null : cap > 0 ? cap : throw Metadata.Wrong(Key(key), "a number above 0");

    private void AddNumber(JsonObject config, string field, string key, double usual = 1) =>
        config[field] = Metadata.FindNumber(Key(key)) is not { } number || number == 0 ? usual : (float)number;

    private static void Name(JsonObject config, string type, string architecture)
    {
        config["model_type"] = type;
        config["architectures"] = new JsonArray(architecture);
    }

    /// <summary>One number for all layers; a file may list it for each.</summary>
    private int? Same(string key) =>
        Metadata.FindIntegers(Key(key), 1, MaxSize)?.Distinct().ToArray() switch
        {
            null => null,
            [var only] => only,
            _ => throw Metadata.Wrong(Key(key), "the same number for each layer"),
        };

    private string Key(string key)
    {
        read.Add($"{name}.{key}");
        return $"{name}.{key}";
    }

    private void RefuseOthers()
    {
        string prefix = name + ".";
        foreach ((string key, object value) in Metadata.Values.Where(entry => entry.Key.StartsWith(prefix, StringComparison.Ordinal) && !read.Contains(entry.Key)))
        {
            if (!WithoutEffect.TryGetValue(key[prefix.Length..], out object? accepted))
            {
                throw Metadata.Wrong(key, $"nothing: the key is not known of {name}, and it could change what the model computes");
            }

            if (accepted is int && Metadata.FindInteger(key) != 0)
            {
                throw Metadata.Wrong(key, "0");
            }

            if (accepted is bool flag && Metadata.FindFlag(key) != flag)
            {
                throw Metadata.Wrong(key, flag ? "true" : "false");
            }
        }
    }
}
