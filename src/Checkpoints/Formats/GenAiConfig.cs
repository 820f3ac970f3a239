namespace ProxyTune.Checkpoints.Formats;

/// <summary>What genai_config.json says of a decoder. Names follow onnxruntime-genai's defaults where the file gives none.</summary>
internal sealed record GenAiConfig
{
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

    /// <exception cref="EngineException">InvalidModelFolder, naming file, field, value and what is accepted.</exception>
    public static GenAiConfig Read(string folder)
    {
        JsonFields model = JsonFields.Read(Path.Combine(folder, FileNames.GenAiConfig)).Object("model");
        JsonFields decoder = model.Object("decoder");
        JsonFields? inputs = decoder.FindObject("inputs"), outputs = decoder.FindObject("outputs");
        return new()
        {
            Graph = decoder.FindText("filename") ?? FileNames.Graph,
            Layers = decoder.Integer("num_hidden_layers", from: 1),
            ContextLength = model.Integer("context_length", from: 1),
            VocabularySize = model.Integer("vocab_size", from: 1),
            EndOfTextIds = model.Ids("eos_token_id"),
            InputIds = inputs?.FindText("input_ids") ?? "input_ids",
            AttentionMask = inputs?.FindText("attention_mask") ?? "attention_mask",
            PositionIds = inputs?.FindText("position_ids") ?? "position_ids",
            Logits = outputs?.FindText("logits") ?? "logits",
            CacheNames =
            [
                inputs?.FindText("past_key_names") ?? "past_key_values.%d.key",
                inputs?.FindText("past_value_names") ?? "past_key_values.%d.value",
                outputs?.FindText("present_key_names") ?? "present.%d.key",
                outputs?.FindText("present_value_names") ?? "present.%d.value",
            ],
        };
    }
}
