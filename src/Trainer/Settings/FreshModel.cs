using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Trainer.Settings;

/// <summary>
/// Reads the sizes of a fresh model in a settings file, under the names of Hugging Face's config.json. Three things differ from config.json: by default the
/// head is the embedding, the default of rms_norm_eps is 1e-5, and an unknown name is refused.
/// </summary>
internal sealed class FreshModel : JsonConverter<DecoderSpec>
{
    private const double Epsilon = 1e-5;

    /// <exception cref="ProxyTune.Checkpoints.EngineException">A field is unknown, missing or wrong.</exception>
    public override DecoderSpec Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        JsonFields given = new("model", JsonElement.ParseValue(ref reader));
        JsonObject json = given.Json.ValueKind == JsonValueKind.Object ? JsonObject.Create(given.Json)! : throw new JsonException();
        if (json.FirstOrDefault(field => !LlamaConfig.Names.Contains(field.Key)) is { Key: { } name })
        {
            throw given.Wrong(name, $"one of {string.Join(", ", LlamaConfig.Names)}");
        }

        json.TryAdd(CommonFields.TiedHead, true);
        json.TryAdd(CommonFields.NormEpsilon, Epsilon);
        return LlamaConfig.Read(given with { Json = JsonSerializer.SerializeToElement(json) });
    }

    public override void Write(Utf8JsonWriter writer, DecoderSpec value, JsonSerializerOptions options) => LlamaConfig.ToJson(value).WriteTo(writer, options);
}
