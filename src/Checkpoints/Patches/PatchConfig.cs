using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>
/// The fields of PEFT's adapter_config.json (0.19) that determine the weights, or where they apply. All other fields affect training only, or choose modules,
/// whose names the tensors have too.
/// </summary>
internal sealed record PatchConfig
{
    // These choose A and B and leave the base as it is. PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA change it.
    private static readonly string[] KeepsWeights = ["gaussian", "eva", "orthogonal"];

    public string? PeftType { get; init; }

    [JsonPropertyName("r")]
    public int? Rank { get; init; }

    public double? LoraAlpha { get; init; }

    [JsonPropertyName("use_rslora")]
    public bool? UsesRootOfRank { get; init; }

    public string? Bias { get; init; }

    public bool? LoraBias { get; init; }

    public bool? UseDora { get; init; }

    public bool? FanInFanOut { get; init; }

    public JsonElement ModulesToSave { get; init; }

    [JsonPropertyName("alora_invocation_tokens")]
    public JsonElement InvocationTokens { get; init; }

    public JsonElement TrainableTokenIndices { get; init; }

    public JsonElement LayerReplication { get; init; }

    public JsonElement TargetParameters { get; init; }

    [JsonPropertyName("use_qalora")]
    public bool? UsesQalora { get; init; }

    [JsonPropertyName("arrow_config")]
    public JsonElement ArrowConfig { get; init; }

    [JsonPropertyName("init_lora_weights")]
    public JsonElement Initialisation { get; init; }

    public JsonElement RankPattern { get; init; }

    public JsonElement AlphaPattern { get; init; }

    /// <summary>The factor of B A in modules that no pattern matches.</summary>
    [JsonIgnore]
    public double Scale => ScaleOf(LoraAlpha!.Value, Rank!.Value);

    [JsonIgnore]
    private PatchPattern Ranks { get; set; } = new();

    [JsonIgnore]
    private PatchPattern Alphas { get; set; } = new();

    /// <summary>The rank of a module such as <c>model.layers.0.self_attn.q_proj</c>.</summary>
    public int RankOf(string module) => (int)(Ranks.Of(module) ?? Rank!.Value);

    /// <summary>The factor of B A in a module.</summary>
    public double ScaleOf(string module) => ScaleOf(Alphas.Of(module) ?? LoraAlpha!.Value, RankOf(module));

    /// <exception cref="EngineException">InvalidModelFolder, naming the file, the field, its value and what is accepted.</exception>
    public static PatchConfig Read(string folder)
    {
        string path = Path.Combine(folder, FileNames.AdapterConfig);
        PatchConfig config = JsonFile.Read(path, PatchJson.Default.PatchConfig);
        config.Check(path);
        return config;
    }

    private void Check(string path)
    {
        Require(PeftType == "LORA", "peft_type", PeftType ?? "missing", "LORA");
        Require(Rank >= 1, "r", Rank is { } rank ? $"{rank}" : "missing", "an integer of at least 1");
        Require(
            LoraAlpha is { } alpha && double.IsFinite(alpha), "lora_alpha", FormattableString.Invariant($"{LoraAlpha?.ToString() ?? "missing"}"), "a finite number");
        Require(Bias is null or "none", "bias", Bias, "none");
        Require(LoraBias != true, "lora_bias", "true", "false");
        Require(UseDora != true, "use_dora", "true", "false");
        Require(FanInFanOut != true, "fan_in_fan_out", "true", "false");
        Require(IsEmpty(ModulesToSave), "modules_to_save", ModulesToSave, "null");
        Require(IsEmpty(InvocationTokens), "alora_invocation_tokens", InvocationTokens, "null: an activated LoRA applies only behind these tokens");
        Require(IsEmpty(TrainableTokenIndices), "trainable_token_indices", TrainableTokenIndices, "null");
        Require(IsEmpty(LayerReplication), "layer_replication", LayerReplication, "null");
        Require(IsEmpty(TargetParameters), "target_parameters", TargetParameters, "null");
        Require(UsesQalora != true, "use_qalora", "true", "false");
        Require(IsEmpty(ArrowConfig), "arrow_config", ArrowConfig, "null");
        string? initialisation = Initialisation.ValueKind == JsonValueKind.String ? Initialisation.GetString() : null;
        Require(
            initialisation is null || KeepsWeights.Contains(initialisation),
            "init_lora_weights",
            $"'{initialisation}'",
            $"true, false, null or {string.Join(", ", KeepsWeights)}: other initialisations change the base's weights, and the update belongs to the changed ones; save the adapter with path_initial_model_for_weight_conversion, which makes it an update of the base itself");
        Ranks = Pattern("rank_pattern", RankPattern, rank => rank >= 1 && rank == (int)rank, "an integer of at least 1");
        Alphas = Pattern("alpha_pattern", AlphaPattern, double.IsFinite, "a finite number");

        PatchPattern Pattern(string field, JsonElement json, Func<double, bool> accepts, string accepted)
        {
            try
            {
                return PatchPattern.Read(json, accepts, accepted);
            }
            catch (FormatException error)
            {
                throw Wrong(path, $"{field} {error.Message}.");
            }
        }

        void Require(bool holds, string field, object? value, string accepted)
        {
            if (!holds)
            {
                throw Wrong(path, $"{field} is {value}; accepted is {accepted}.");
            }
        }
    }

    /// <summary>alpha / r, or alpha / sqrt(r) for a patch with use_rslora (Kalajdzievski 2023, arXiv 2312.03732).</summary>
    private double ScaleOf(double alpha, int rank) => alpha / (UsesRootOfRank == true ? Math.Sqrt(rank) : rank);

    private static bool IsEmpty(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Undefined or JsonValueKind.Null => true,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => !value.EnumerateObject().Any(),
        _ => false,
    };

    private static EngineException Wrong(string path, string what) => EngineException.InFile(path, what);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(PatchConfig))]
internal sealed partial class PatchJson : JsonSerializerContext;
