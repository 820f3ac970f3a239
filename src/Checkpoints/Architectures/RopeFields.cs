using System.Text.Json;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>
/// The fields of config.json for rotary positions. Up to transformers 4, rope_theta stands beside rope_scaling; from 5 on, both are in
/// rope_parameters, which can have one object for each type of layer.
/// </summary>
internal static class RopeFields
{
    public const string Theta = "rope_theta";
    public const string WindowTheta = "rope_local_base_freq";
    public const string Scaling = "rope_scaling";
    public const string Parameters = "rope_parameters";
    public const string OriginalContext = "original_max_position_embeddings";
    public const string PartialRotary = "partial_rotary_factor";

    /// <summary>The fields that <see cref="Of(JsonFields, DecoderSpec)"/> reads.</summary>
    public static readonly string[] Names = [Theta, Scaling, Parameters, OriginalContext, PartialRotary];

    private const double UsualTheta = 10_000;
    private const string FullLayers = "full_attention", WindowLayers = "sliding_attention";
    private const string Factor = "factor", AttentionFactor = "attention_factor";

    // What each type reads, beside theta, the type itself and the original context.
    private static readonly Dictionary<string, string[]> Fields = new()
    {
        ["default"] = [],
        ["linear"] = [Factor],
        ["dynamic"] = [Factor],
        ["llama3"] = [Factor, "low_freq_factor", "high_freq_factor"],
        ["yarn"] = [Factor, AttentionFactor, "mscale", "mscale_all_dim", "beta_fast", "beta_slow", "truncate"],
        ["longrope"] = [Factor, AttentionFactor, "short_factor", "long_factor"],
    };

    /// <summary>Sets theta, scaling and the rope of window layers.</summary>
    /// <exception cref="EngineException">InvalidModelFolder, naming file, field, value and what is accepted.</exception>
    public static DecoderSpec Of(JsonFields config, DecoderSpec spec)
    {
        JsonFields? parameters = config.FindObject(Parameters);
        if (parameters is not null && config.Find(Scaling) is not null)
        {
            throw config.Wrong(Scaling, $"null beside {Parameters}");
        }

        if (parameters?.FindObjectOrNothing(FullLayers) is null && parameters?.FindObjectOrNothing(WindowLayers) is null)
        {
            RefuseOthers(parameters);
            RopeSpec both = Rope(config, parameters ?? config.FindObject(Scaling), spec, Theta);
            return Partial(config, parameters, spec with { RopeTheta = both.Theta, RopeScaling = both.Scaling });
        }

        foreach (JsonProperty other in parameters!.Json.EnumerateObject().Where(field => field.Name is not (FullLayers or WindowLayers)))
        {
            throw parameters.Wrong(other.Name, $"nothing: the object has {FullLayers} and {WindowLayers}");
        }

        RopeSpec full = Rope(config, parameters.Object(FullLayers), spec, Theta), window = Rope(config, parameters.Object(WindowLayers), spec, WindowTheta);
        return Partial(config, parameters.Object(FullLayers), spec with { RopeTheta = full.Theta, RopeScaling = full.Scaling, WindowRope = Checked(window, parameters) });
    }

    /// <summary>The rope of one kind of layers.</summary>
    /// <param name="rope">rope_parameters or rope_scaling; null for rotary positions without scaling.</param>
    /// <param name="outside">The name of theta outside of that object.</param>
    private static RopeSpec Rope(JsonFields config, JsonFields? rope, DecoderSpec spec, string outside)
    {
        (JsonFields holder, string name) = rope?.Find(Theta) is null ? (config, outside) : (rope, Theta);
        double theta = holder.FindNumber(name) ?? UsualTheta;
        return theta > 1 ? new(theta, rope is null ? null : Scale(config, rope, spec)) : throw holder.Wrong(name, "a number above 1");
    }

    private static RopeScaling? Scale(JsonFields config, JsonFields rope, DecoderSpec spec)
    {
        string field = rope.Find("rope_type") is null && rope.Find("type") is not null ? "type" : "rope_type";
        string type = rope.FindText(field) ?? "default";

        if (spec.Family == Phi3Config.ModelType)
        {
            // The first Phi-3 checkpoints had two other names for it.
            type = type is "su" or "yarn" ? "longrope" : type;
            rope.AcceptOnly(field, type is "longrope" ? rope.FindText(field)! : "default");
        }

        if (!Fields.TryGetValue(type, out string[]? fields))
        {
            throw rope.Wrong(field, string.Join(", ", Fields.Keys));
        }

        HashSet<string> known = [.. fields, "rope_type", "type", Theta, OriginalContext, PartialRotary, "finetuned"];
        foreach (JsonProperty other in rope.Json.EnumerateObject().Where(other => !known.Contains(other.Name) && other.Value.ValueKind != JsonValueKind.Null))
        {
            throw rope.Wrong(other.Name, $"nothing: {field} {type} does not have it");
        }

        // dynamic changes theta only for texts beyond the context, and no sequence is longer.
        return type switch
        {
            "linear" => new LinearScaling(Positive(rope, Factor)),
            "llama3" => Llama3(config, rope, spec),
            "yarn" => Yarn(config, rope, spec),
            "longrope" => Long(config, rope, spec),
            _ => null,
        };
    }

    private static Llama3Scaling Llama3(JsonFields config, JsonFields rope, DecoderSpec spec)
    {
        (double low, double high) = (Positive(rope, "low_freq_factor"), Positive(rope, "high_freq_factor"));
        return low < high
            ? new(Positive(rope, Factor), low, high, Original(config, rope, spec))
            : throw rope.Wrong("high_freq_factor", $"a number above low_freq_factor ({low})");
    }

    private static YarnScaling Yarn(JsonFields config, JsonFields rope, DecoderSpec spec)
    {
        int original = Original(config, rope, spec);
        double factor = rope.FindPositive(Factor) ?? (double)spec.ContextLength / original;
        double? mscale = rope.FindNumber("mscale"), all = rope.FindNumber("mscale_all_dim");
        double usual = mscale is > 0 && all is > 0 ? YarnScaling.Temperature(factor, mscale.Value) / YarnScaling.Temperature(factor, all.Value) : YarnScaling.Temperature(factor);
        return new(factor, NotZero("beta_fast", 32), NotZero("beta_slow", 1), rope.FindFlag("truncate") ?? true, original)
        {
            AttentionFactor = rope.FindPositive(AttentionFactor) ?? usual,
        };

        // As in transformers, 0 means the default.
        double NotZero(string name, double usual) => rope.FindNumber(name) is { } value and not 0 ? Positive(rope, name) : usual;
    }

    private static LongRopeScaling Long(JsonFields config, JsonFields rope, DecoderSpec spec)
    {
        int original = Original(config, rope, spec), pairs = Rotated(config, rope, spec) / 2;
        double scale = rope.FindPositive(Factor) ?? (double)spec.ContextLength / original;
        return new(Divisors("short_factor"), Divisors("long_factor"), original)
        {
            AttentionFactor = rope.FindPositive(AttentionFactor) ?? LongRopeScaling.Temperature(scale, original),
        };

        double[] Divisors(string name)
        {
            string accepted = $"a list of {pairs} numbers above 0";
            double[] values = rope.Find(name) is { ValueKind: JsonValueKind.Array } list
                ? [.. list.EnumerateArray().Select(value => value.ValueKind == JsonValueKind.Number ? value.GetDouble() : 0)]
                : throw rope.Wrong(name, accepted);
            return values.Length == pairs && Array.TrueForAll(values, value => value > 0) ? values : throw rope.Wrong(name, accepted);
        }
    }

    private static DecoderSpec Partial(JsonFields config, JsonFields? rope, DecoderSpec spec)
    {
        int rotated = Rotated(config, rope, spec);
        return rotated == spec.HeadSize ? spec : spec with { RotarySize = rotated };
    }

    private static int Rotated(JsonFields config, JsonFields? rope, DecoderSpec spec)
    {
        JsonFields holder = rope?.Find(PartialRotary) is null ? config : rope;
        double part = holder.FindNumber(PartialRotary) ?? 1;
        int rotated = (int)(spec.HeadSize * part);
        return part <= 1 && rotated >= 2 && rotated % 2 == 0 && (rotated == spec.HeadSize || spec.Family == Phi3Config.ModelType)
            ? rotated
            : throw holder.Wrong(PartialRotary, spec.Family == Phi3Config.ModelType ? $"a part of {CommonFields.HeadSize} ({spec.HeadSize}) that is an even number" : "1");
    }

    // As in transformers 5, the field outside of the object has the last word.
    private static int Original(JsonFields config, JsonFields rope, DecoderSpec spec) =>
        config.FindInteger(OriginalContext, 2) ?? rope.FindInteger(OriginalContext, 2) ?? spec.ContextLength;

    private static double Positive(JsonFields fields, string name) => fields.FindPositive(name) ?? throw fields.Wrong(name, "a number above 0");

    private static RopeSpec Checked(RopeSpec window, JsonFields parameters) =>
        window.Scaling is LongRopeScaling ? throw parameters.Wrong(WindowLayers, "another type than longrope") : window;

    private static JsonFields? FindObjectOrNothing(this JsonFields fields, string name) => fields.Find(name) is { ValueKind: JsonValueKind.Object } ? fields.FindObject(name) : null;

    private static void RefuseOthers(JsonFields? parameters)
    {
        foreach (JsonProperty field in parameters?.Json.EnumerateObject().Where(field => field.Value.ValueKind == JsonValueKind.Object) ?? [])
        {
            throw parameters!.Wrong(field.Name, "no object");
        }
    }
}
