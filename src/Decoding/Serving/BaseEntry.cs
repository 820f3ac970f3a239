using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Serving;

/// <summary>The base in an entry: the name of a model folder, or an object that describes a remote base.</summary>
[JsonConverter(typeof(BaseEntryConverter))]
internal sealed record BaseEntry(string? Folder, RemoteEntry? Remote = null);

internal sealed record RemoteEntry
{
    /// <summary>Root of an OpenAI-compatible API.</summary>
    public string? Url { get; init; }

    /// <summary>What the remote calls the model.</summary>
    public string? Model { get; init; }

    /// <summary>Name of a folder beside catalog.json with the remote's tokenizer.json, and its chat template if it has one.</summary>
    public string? Tokenizer { get; init; }

    /// <summary>Name of the environment variable that holds the key; absent: no key.</summary>
    public string? ApiKeyEnv { get; init; }

    public int? TopLogprobs { get; init; }

    /// <summary><c>tokens</c> or <c>text</c>.</summary>
    public string? Prompt { get; init; }

    /// <summary>Absent: what the folder's genai_config.json says.</summary>
    public int? ContextLength { get; init; }

    /// <summary>Absent: what the folder's genai_config.json says.</summary>
    public int[]? EndOfTextIds { get; init; }

    public double? TimeoutSeconds { get; init; }

    public int? Retries { get; init; }

    public double? RetryDelaySeconds { get; init; }

    public double? LongestDelaySeconds { get; init; }

    public BreakerEntry? Breaker { get; init; }

    /// <summary>Further fields of the requests to the remote.</summary>
    public IReadOnlyDictionary<string, JsonElement>? Body { get; init; }

    /// <summary>A key for sharing: equal entries have equal keys and share one model.</summary>
    [JsonIgnore]
    public string Key => JsonSerializer.Serialize(this, CatalogJson.Default.RemoteEntry);
}

internal sealed record BreakerEntry
{
    public double? FailureRatio { get; init; }

    public int? Attempts { get; init; }

    public double? WindowSeconds { get; init; }

    public double? OpenSeconds { get; init; }
}

internal sealed class BaseEntryConverter : JsonConverter<BaseEntry>, INestedContract
{
    public JsonTypeInfo Contract => CatalogJson.Default.RemoteEntry;

    public override BaseEntry Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        reader.TokenType == JsonTokenType.String ? new(reader.GetString()) : new(null, JsonSerializer.Deserialize(ref reader, CatalogJson.Default.RemoteEntry));

    public override void Write(Utf8JsonWriter writer, BaseEntry value, JsonSerializerOptions options)
    {
        if (value.Remote is { } remote)
        {
            JsonSerializer.Serialize(writer, remote, CatalogJson.Default.RemoteEntry);
        }
        else
        {
            writer.WriteStringValue(value.Folder);
        }
    }
}
