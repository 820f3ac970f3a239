using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>The rotary positions of a GGUF file as fields of config.json.</summary>
internal static class GgufRope
{
    private const string Base = "rope.freq_base", Dimensions = "rope.dimension_count", WindowBase = "rope.freq_base_swa";
    private const string Type = "rope.scaling.type", Factor = "rope.scaling.factor", Original = "rope.scaling.original_context_length", AttentionFactor = "rope.scaling.attn_factor";

    // llama.cpp's, for files without the key.
    private const double UsualBase = 10_000;

    // Llama 3.1's, in turns within the original context.
    private const double LowTurns = 1, HighTurns = 4;

    // Factors were computed in float32.
    private const double Tolerance = 1e-5;

    /// <param name="key">The whole name of a key of the architecture.</param>
    public static void Add(JsonObject config, GgufFile file, string architecture, GgufSizes sizes, Func<string, string> key)
    {
        GgufMetadata metadata = file.Metadata;
        double theta = metadata.FindNumber(key(Base)) ?? UsualBase;
        if (theta <= 1)
        {
            throw metadata.Wrong(key(Base), "a number above 1");
        }

        int rotated = metadata.FindInteger(key(Dimensions), 2, sizes.HeadSize) ?? sizes.HeadSize;
        if (rotated % 2 != 0 || (rotated != sizes.HeadSize && architecture != "phi3"))
        {
            throw metadata.Wrong(key(Dimensions), $"{sizes.HeadSize}, the size of a head");
        }

        JsonObject? scaling = Scaling(file, theta, rotated, config["max_position_embeddings"]!.GetValue<int>(), key);
        if (architecture == "gemma3")
        {
            JsonObject full = scaling ?? new() { ["rope_type"] = "default" };
            full["rope_theta"] = theta;
            config["rope_parameters"] = new JsonObject
            {
                ["full_attention"] = full,
                ["sliding_attention"] = new JsonObject { ["rope_type"] = "default", ["rope_theta"] = metadata.FindNumber(key(WindowBase)) ?? UsualBase },
            };
            return;
        }

        config["rope_theta"] = theta;
        if (scaling is not null)
        {
            config["rope_scaling"] = scaling;
        }

        if (rotated != sizes.HeadSize)
        {
            config["partial_rotary_factor"] = (double)rotated / sizes.HeadSize;
        }

        if (architecture == "phi3")
        {
            config["original_max_position_embeddings"] = metadata.FindInteger(key(Original), 1) ?? config["max_position_embeddings"]!.GetValue<int>();
        }
    }

    private static JsonObject? Scaling(GgufFile file, double theta, int rotated, int context, Func<string, string> key)
    {
        GgufMetadata metadata = file.Metadata;
        string type = metadata.FindText(key(Type)) ?? "none";
        double? factor = metadata.FindNumber(key(Factor)), attention = metadata.FindNumber(key(AttentionFactor));
        int? original = metadata.FindInteger(key(Original), 1);
        float[]? factors = Factors(file, GgufNames.RopeFactors, rotated), longer = Factors(file, GgufNames.LongFactors, rotated), shorter = Factors(file, GgufNames.ShortFactors, rotated);
        if (longer is not null && shorter is not null)
        {
            JsonObject both = new() { ["rope_type"] = "longrope", ["long_factor"] = Numbers(longer), ["short_factor"] = Numbers(shorter), ["attention_factor"] = attention ?? 1 };
            both["original_max_position_embeddings"] = original ?? context;
            return both;
        }

        if (longer is not null || shorter is not null)
        {
            throw EngineException.InFile(file.Path, $"tensor '{(longer is null ? GgufNames.LongFactors : GgufNames.ShortFactors)}' is missing, but the other factors are not; accepted are both or none.");
        }

        JsonObject? scaling = type switch
        {
            "none" => null,
            "linear" => factor is null or 1 ? null : new() { ["rope_type"] = "linear", ["factor"] = factor },
            "yarn" => new() { ["rope_type"] = "yarn", ["factor"] = factor ?? throw metadata.Wrong(key(Factor), "a number"), ["original_max_position_embeddings"] = original ?? context },
            _ => throw metadata.Wrong(key(Type), $"none, linear or yarn, or longrope with the tensors {GgufNames.LongFactors} and {GgufNames.ShortFactors}"),
        };

        // llama.cpp multiplies by it; that YaRN's own factor is meant is not sure.
        return attention is not (null or 1) ? throw metadata.Wrong(key(AttentionFactor), "1, or factors for long texts")
            : factors is null ? scaling
            : scaling is null ? Divided(factors, theta, rotated, context)
            : throw metadata.Wrong(key(Type), $"none, since the tensor {GgufNames.RopeFactors} has factors for each frequency");
    }

    /// <summary>Factors of each frequency: those of Llama 3.1 where its formula gives them, else one list for texts of all lengths.</summary>
    private static JsonObject Divided(float[] factors, double theta, int rotated, int context)
    {
        double factor = factors.Max();
        for (int original = 2; original <= context && factor > 1; original *= 2)
        {
            if (factors.Index().All(item => Math.Abs(Llama3(item.Index, original) - item.Item) <= Tolerance * item.Item))
            {
                return new()
                {
                    ["rope_type"] = "llama3",
                    ["factor"] = factor,
                    ["low_freq_factor"] = LowTurns,
                    ["high_freq_factor"] = HighTurns,
                    ["original_max_position_embeddings"] = original,
                };
            }
        }

        return new()
        {
            ["rope_type"] = "longrope",
            ["long_factor"] = Numbers(factors),
            ["short_factor"] = Numbers(factors),
            ["attention_factor"] = 1,
            ["original_max_position_embeddings"] = context,
        };

        double Llama3(int i, int original)
        {
            double turns = original * Math.Pow(theta, -2.0 * i / rotated) / (2 * Math.PI), high = Math.Clamp((turns - LowTurns) / (HighTurns - LowTurns), 0, 1);
            return 1 / (((1 - high) / factor) + high);
        }
    }

    private static float[]? Factors(GgufFile file, string name, int rotated)
    {
        if (!file.Tensors.TryGetValue(name, out GgufTensorInfo? tensor))
        {
            return null;
        }

        if (tensor.Shape is not [var count] || count != rotated / 2)
        {
            throw EngineException.InFile(file.Path, $"tensor '{name}' is [{string.Join(", ", tensor.Shape)}]; accepted is [{rotated / 2}], one for each pair of dimensions.", name);
        }

        float[] factors = file.ReadFloat32(name);
        return Array.TrueForAll(factors, factor => factor > 0 && float.IsFinite(factor)) ? factors
            : throw EngineException.InFile(file.Path, $"tensor '{name}' has a factor that is not above 0; accepted are finite numbers above 0.", name);
    }

    private static JsonArray Numbers(float[] values) => [.. values.Select(value => (JsonNode)value)];
}
