using System.Text.Json;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>Sizes of a Llama-family decoder, from the config.json of a Hugging Face checkpoint.</summary>
public sealed record CheckpointConfig
{
    public required int VocabularySize { get; init; }

    public required int HiddenSize { get; init; }

    public required int IntermediateSize { get; init; }

    public required int Layers { get; init; }

    public required int Heads { get; init; }

    /// <summary>Divides <see cref="Heads"/>.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Even.</summary>
    public required int HeadSize { get; init; }

    public required int ContextLength { get; init; }

    public double RopeTheta { get; init; } = 10_000;

    public double NormEpsilon { get; init; } = 1e-6;

    /// <summary>Whether the head is the embedding.</summary>
    public bool TiedHead { get; init; }

    public int? BeginId { get; init; }

    /// <summary>The ids that end a text; at least one.</summary>
    public required IReadOnlyList<int> EndIds { get; init; }

    /// <exception cref="EngineException">InvalidModelFolder: no config.json, a missing or impossible size, or an architecture that is not plain Llama.</exception>
    public static CheckpointConfig Read(string folder)
    {
        string path = Path.Combine(folder, "config.json");
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
            CheckpointConfig config = Read(document.RootElement, EndIdsOfGeneration(folder));
            config.Check();
            return config;
        }
        catch (Exception error) when (error is IOException or JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new EngineException(EngineError.InvalidModelFolder, $"{path}: {error.Message}", path, error);
        }
    }

    private static CheckpointConfig Read(JsonElement json, IReadOnlyList<int>? endIds)
    {
        Refuse(json, "model_type", "llama");
        Refuse(json, "hidden_act", "silu");
        Refuse(json, "rope_scaling", null);
        Refuse(json, "attention_bias", "False");
        Refuse(json, "mlp_bias", "False");
        (int hidden, int heads) = (json.GetProperty("hidden_size").GetInt32(), json.GetProperty("num_attention_heads").GetInt32());
        return new CheckpointConfig
        {
            VocabularySize = json.GetProperty("vocab_size").GetInt32(),
            HiddenSize = hidden,
            IntermediateSize = json.GetProperty("intermediate_size").GetInt32(),
            Layers = json.GetProperty("num_hidden_layers").GetInt32(),
            Heads = heads,
            KeyValueHeads = Optional(json, "num_key_value_heads")?.GetInt32() ?? heads,
            HeadSize = Optional(json, "head_dim")?.GetInt32() ?? hidden / Math.Max(heads, 1),
            ContextLength = json.GetProperty("max_position_embeddings").GetInt32(),
            RopeTheta = Optional(json, "rope_theta")?.GetDouble() ?? 10_000,
            NormEpsilon = Optional(json, "rms_norm_eps")?.GetDouble() ?? 1e-6,
            TiedHead = Optional(json, "tie_word_embeddings")?.GetBoolean() ?? false,
            BeginId = Optional(json, "bos_token_id")?.GetInt32(),
            EndIds = endIds ?? EndIdsOf(json) ?? throw new FormatException("eos_token_id is missing; without it no answer ends."),
        };
    }

    // As in transformers, generation_config.json has the last word on when to stop.
    private static int[]? EndIdsOfGeneration(string folder)
    {
        string path = Path.Combine(folder, "generation_config.json");
        if (!File.Exists(path))
        {
            return null;
        }

        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
        return EndIdsOf(document.RootElement);
    }

    private static int[]? EndIdsOf(JsonElement json) =>
        Optional(json, "eos_token_id") is not { } ids ? null
        : ids.ValueKind == JsonValueKind.Array ? [.. ids.EnumerateArray().Select(id => id.GetInt32())]
        : [ids.GetInt32()];

    private static JsonElement? Optional(JsonElement json, string name) =>
        json.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static void Refuse(JsonElement json, string name, string? only)
    {
        if (Optional(json, name) is { } value && value.ToString() != only)
        {
            throw new FormatException($"{name} is {value}; {only ?? "null"} is supported.");
        }
    }

    private void Check()
    {
        Require(VocabularySize, "vocab_size");
        Require(HiddenSize, "hidden_size");
        Require(IntermediateSize, "intermediate_size");
        Require(Layers, "num_hidden_layers");
        Require(Heads, "num_attention_heads");
        Require(ContextLength, "max_position_embeddings");
        if (KeyValueHeads < 1 || Heads % KeyValueHeads != 0)
        {
            throw new FormatException($"num_key_value_heads is {KeyValueHeads}; a divisor of num_attention_heads ({Heads}) is needed.");
        }

        if (HeadSize < 2 || HeadSize % 2 != 0)
        {
            throw new FormatException($"head_dim is {HeadSize}; an even number from 2 is needed.");
        }
    }

    private static void Require(int value, string name)
    {
        if (value is < 1 or > 1 << 24)
        {
            throw new FormatException($"{name} is {value}; 1 to {1 << 24} is allowed.");
        }
    }
}
