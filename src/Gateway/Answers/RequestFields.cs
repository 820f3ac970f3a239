using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Answers;

/// <summary>What both completion endpoints accept. Ranges and descriptions also write the error messages and the OpenAPI document.</summary>
internal abstract record RequestFields
{
    /// <summary>A served model's name, or <c>name@alpha</c>.</summary>
    [Required]
    [Description("the name of a served model, or name@alpha")]
    public string? Model { get; init; }

    [Range(0.0, 2.0)]
    public double? Temperature { get; init; }

    [Range(0.0, 1.0)]
    public double? TopP { get; init; }

    [Range(0, int.MaxValue)]
    public int? TopK { get; init; }

    [Range(0.0, 1.0)]
    public double? MinP { get; init; }

    [Range(-2.0, 2.0)]
    public double? PresencePenalty { get; init; }

    [Range(-2.0, 2.0)]
    public double? FrequencyPenalty { get; init; }

    [Range(0.01, 100.0)]
    public double? RepetitionPenalty { get; init; }

    [Description("an object from token id to a number from -100 to 100")]
    public IReadOnlyDictionary<int, double>? LogitBias { get; init; }

    /// <summary>Absent: a random one.</summary>
    public long? Seed { get; init; }

    [JsonConverter(typeof(StopConverter))]
    [Description("a non-empty string or an array of up to 4 non-empty strings")]
    public IReadOnlyList<string>? Stop { get; init; }

    [Range(1, 8)]
    public int? N { get; init; }

    public bool? Stream { get; init; }

    [Description("an object with include_usage (true or false)")]
    public StreamOptions? StreamOptions { get; init; }

    public string? User { get; init; }

    /// <summary>As at vLLM: only requests with the same salt, and the same key, share what is kept of their prompts.</summary>
    public string? CacheSalt { get; init; }

    /// <summary>Wins over the model name's suffix, which wins over the header X-Fusion.</summary>
    public AskedFusion? Fusion { get; init; }
}

internal sealed record StreamOptions(bool? IncludeUsage);

/// <summary><c>"a"</c> or <c>["a", "b"]</c>.</summary>
internal sealed class StopConverter : JsonConverter<IReadOnlyList<string>>
{
    private const int MaxStops = 4;

    public override IReadOnlyList<string> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using JsonDocument value = JsonDocument.ParseValue(ref reader);
        string[] stops = value.RootElement.ValueKind switch
        {
            JsonValueKind.String => [value.RootElement.GetString()!],
            JsonValueKind.Array => [.. value.RootElement.EnumerateArray().Select(Wire.Text)],
            _ => throw new JsonException(),
        };
        return stops.Length <= MaxStops && stops.All(stop => stop.Length > 0) ? stops : throw new JsonException();
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyList<string> value, JsonSerializerOptions options) =>
        throw new NotSupportedException("Requests are only read.");
}
