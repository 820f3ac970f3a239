using System.Text.Json;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>What genai_config.json says of a decoder. Names follow onnxruntime-genai's defaults where the file gives none.</summary>
internal sealed record GenAiConfig
{
    public const string FileName = "genai_config.json";

    public required string Graph { get; init; }

    public required int Layers { get; init; }

    public required int ContextLength { get; init; }

    public required int VocabularySize { get; init; }

    public required IReadOnlyList<int> EndOfTextIds { get; init; }

    public required string InputIds { get; init; }

    public required string AttentionMask { get; init; }

    public required string PositionIds { get; init; }

    public required string Logits { get; init; }

    /// <summary>In this order: past key, past value, present key, present value, each with %d for the layer.</summary>
    public required IReadOnlyList<string> CacheNames { get; init; }

    /// <exception cref="EngineException">InvalidModelFolder, naming file and entry.</exception>
    public static GenAiConfig Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            JsonElement model = document.RootElement.GetProperty("model");
            JsonElement decoder = model.GetProperty("decoder");
            JsonElement inputs = Member(decoder, "inputs"), outputs = Member(decoder, "outputs");
            return new()
            {
                Graph = Text(decoder, "filename", "model.onnx"),
                Layers = Count(decoder, "num_hidden_layers"),
                ContextLength = Count(model, "context_length"),
                VocabularySize = Count(model, "vocab_size"),
                EndOfTextIds = Ids(Member(model, "eos_token_id")),
                InputIds = Text(inputs, "input_ids", "input_ids"),
                AttentionMask = Text(inputs, "attention_mask", "attention_mask"),
                PositionIds = Text(inputs, "position_ids", "position_ids"),
                Logits = Text(outputs, "logits", "logits"),
                CacheNames =
                [
                    Text(inputs, "past_key_names", "past_key_values.%d.key"),
                    Text(inputs, "past_value_names", "past_key_values.%d.value"),
                    Text(outputs, "present_key_names", "present.%d.key"),
                    Text(outputs, "present_value_names", "present.%d.value"),
                ],
            };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new EngineException(EngineError.InvalidModelFolder, $"{path} cannot be read: {e.Message}", FileName, e);
        }
    }

    private static int Count(JsonElement parent, string name)
    {
        int value = parent.GetProperty(name).GetInt32();
        return value >= 1 ? value : throw new FormatException($"{name} is {value}; it must be at least 1.");
    }

    private static JsonElement Member(JsonElement parent, string name) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(name, out JsonElement value) ? value : default;

    private static string Text(JsonElement parent, string name, string otherwise) =>
        Member(parent, name) is { ValueKind: JsonValueKind.String } value ? value.GetString()! : otherwise;

    private static int[] Ids(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Undefined or JsonValueKind.Null => [],
        JsonValueKind.Array => [.. value.EnumerateArray().Select(id => id.GetInt32())],
        _ => [value.GetInt32()],
    };
}
