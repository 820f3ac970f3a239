using System.Text.Json;
using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>config.json of the Llama family (LlamaForCausalLM in transformers): RMSNorm, rotary positions, grouped-query attention, SwiGLU, no biases.</summary>
internal static class LlamaConfig
{
    public const string ModelType = "llama";
    public const string VocabularySize = "vocab_size";
    public const string Layers = "num_hidden_layers";
    public const string EndIds = "eos_token_id";
    public const string NormEpsilon = "rms_norm_eps";
    public const string TiedHead = "tie_word_embeddings";

    private const string HiddenSize = "hidden_size";
    private const string IntermediateSize = "intermediate_size";
    private const string Heads = "num_attention_heads";
    private const string KeyValueHeads = "num_key_value_heads";
    private const string HeadSize = "head_dim";
    private const string ContextLength = "max_position_embeddings";
    private const string RopeTheta = "rope_theta";
    private const string BeginId = "bos_token_id";
    private const string PadId = "pad_token_id";

    private const int MaxSize = 1 << 24;
    private const double UsualTheta = 10_000;
    private const double UsualEpsilon = 1e-6;

    /// <summary>The fields that say what the decoder is made of.</summary>
    public static readonly IReadOnlySet<string> Names = new HashSet<string>
    {
        VocabularySize, HiddenSize, IntermediateSize, Layers, Heads, KeyValueHeads, HeadSize, ContextLength, RopeTheta, NormEpsilon, TiedHead, BeginId, EndIds, PadId,
    };

    /// <summary>A field that is left out has the default of transformers.</summary>
    /// <exception cref="EngineException">InvalidModelFolder, naming file, field, value and what is accepted.</exception>
    public static DecoderSpec Read(JsonFields config)
    {
        AcceptOnly(config, "hidden_act", "silu");
        AcceptOnly(config, "attention_bias", bool.FalseString);
        AcceptOnly(config, "mlp_bias", bool.FalseString);
        (int hidden, int heads) = (config.Integer(HiddenSize, 1, MaxSize), config.Integer(Heads, 1, MaxSize));
        DecoderSpec spec = new()
        {
            VocabularySize = config.Integer(VocabularySize, 1, MaxSize),
            HiddenSize = hidden,
            IntermediateSize = config.Integer(IntermediateSize, 1, MaxSize),
            Layers = config.Integer(Layers, 1, MaxSize),
            Heads = heads,
            KeyValueHeads = config.FindInteger(KeyValueHeads, 1, MaxSize) ?? heads,
            HeadSize = config.FindInteger(HeadSize, 1, MaxSize) ?? hidden / heads,
            ContextLength = config.Integer(ContextLength, 1, MaxSize),
            RopeTheta = Theta(config),
            NormEpsilon = config.FindNumber(NormEpsilon) ?? UsualEpsilon,
            TiedHead = config.FindFlag(TiedHead) ?? false,
            BeginId = config.FindInteger(BeginId, 0),
            EndIds = config.Ids(EndIds),
            PadId = config.FindInteger(PadId),
        };
        return heads % spec.KeyValueHeads != 0 ? throw config.Wrong(KeyValueHeads, $"a divisor of {Heads} ({heads})")
            : spec.HeadSize < 2 || spec.HeadSize % 2 != 0 ? throw config.Wrong(HeadSize, $"an even number; where it is missing, {HiddenSize} / {Heads} ({hidden} / {heads}) is one")
            : spec.NormEpsilon is <= 0 or >= 1 ? throw config.Wrong(NormEpsilon, "a number above 0 and below 1")
            : spec;
    }

    /// <summary>What <see cref="Read"/> reads.</summary>
    public static JsonObject ToJson(DecoderSpec spec) => new()
    {
        [VocabularySize] = spec.VocabularySize,
        [HiddenSize] = spec.HiddenSize,
        [IntermediateSize] = spec.IntermediateSize,
        [Layers] = spec.Layers,
        [Heads] = spec.Heads,
        [KeyValueHeads] = spec.KeyValueHeads,
        [HeadSize] = spec.HeadSize,
        [ContextLength] = spec.ContextLength,
        [RopeTheta] = spec.RopeTheta,
        [NormEpsilon] = spec.NormEpsilon,
        [TiedHead] = spec.TiedHead,
        [BeginId] = spec.BeginId,
        [EndIds] = spec.EndIds switch { [] => null, [var only] => only, var ends => new JsonArray([.. ends.Select(id => (JsonNode)id)]) },
        [PadId] = spec.PadId,
    };

    /// <summary>Writes config.json of float32 weights.</summary>
    public static void Write(string folder, DecoderSpec spec)
    {
        JsonObject json = ToJson(spec);
        json["architectures"] = new JsonArray("LlamaForCausalLM");
        json["model_type"] = ModelType;
        json["hidden_act"] = "silu";
        json["attention_bias"] = false;
        json["mlp_bias"] = false;
        json["torch_dtype"] = "float32";
        File.WriteAllText(Path.Combine(folder, FileNames.Config), json.ToJsonString(JsonFile.Indented) + "\n");
    }

    // Up to transformers 4 theta stands beside rope_scaling, from 5 on within rope_parameters.
    private static double Theta(JsonFields config)
    {
        RefuseScaling(config.FindObject("rope_scaling"));
        JsonFields? parameters = config.FindObject("rope_parameters");
        RefuseScaling(parameters);
        JsonFields fields = parameters?.Find(RopeTheta) is null ? config : parameters;
        double theta = fields.FindNumber(RopeTheta) ?? UsualTheta;
        return theta > 1 ? theta : throw fields.Wrong(RopeTheta, "a number above 1");
    }

    private static void RefuseScaling(JsonFields? rope)
    {
        if (rope is null)
        {
            return;
        }

        AcceptOnly(rope, "rope_type", "default");
        AcceptOnly(rope, "type", "default");

        // Other families have an object for each kind of layer.
        foreach (JsonProperty field in rope.Json.EnumerateObject().Where(field => field.Value.ValueKind == JsonValueKind.Object))
        {
            throw rope.Wrong(field.Name, "no object");
        }
    }

    private static void AcceptOnly(JsonFields config, string name, string accepted)
    {
        if (config.Find(name) is { } value && value.ToString() != accepted)
        {
            throw config.Wrong(name, accepted);
        }
    }
}
