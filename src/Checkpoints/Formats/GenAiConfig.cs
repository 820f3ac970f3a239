namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// What genai_config.json says of a decoder. Names follow onnxruntime-genai's defaults where the file gives none. For a folder without the file, as Optimum
/// writes it, the same from config.json.
/// </summary>
internal sealed record GenAiConfig
{
    public required string Graph { get; init; }

    public required int Layers { get; init; }

    public required int ContextLength { get; init; }

    public required int VocabularySize { get; init; }

    public required IReadOnlyList<int> EndOfTextIds { get; init; }

    /// <summary>Key and value heads of a layer; null where the file does not tell.</summary>
    public int? KeyValueHeads { get; init; }

    /// <summary>Dimensions of a head; null where the file does not tell.</summary>
    public int? HeadSize { get; init; }

    public required string InputIds { get; init; }

    public required string AttentionMask { get; init; }

    public required string PositionIds { get; init; }

    public required string Logits { get; init; }

    /// <summary>In this order: past key, past value, present key, present value, each with %d for the layer.</summary>
    public required IReadOnlyList<string> CacheNames { get; init; }

    private static readonly string[] UsualCacheNames = ["past_key_values.%d.key", "past_key_values.%d.value", "present.%d.key", "present.%d.value"];

    /// <exception cref="EngineException">InvalidModelFolder, naming file, field, value and what is accepted.</exception>
    public static GenAiConfig Read(string folder) =>
        !File.Exists(Path.Combine(folder, FileNames.GenAiConfig)) && IsPlainExport(folder) ? ReadPlainExport(JsonFields.Read(Path.Combine(folder, FileNames.Config))) : ReadGenAi(folder);

    /// <summary>Whether a folder holds a graph and a config.json, but no genai_config.json.</summary>
    public static bool IsPlainExport(string folder) =>
        File.Exists(Path.Combine(folder, FileNames.Graph)) && File.Exists(Path.Combine(folder, FileNames.Config)) && !File.Exists(Path.Combine(folder, FileNames.GenAiConfig));

    private static GenAiConfig ReadGenAi(string folder)
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
            KeyValueHeads = decoder.FindInteger("num_key_value_heads", from: 1),
            HeadSize = decoder.FindInteger("head_size", from: 1),
            InputIds = inputs?.FindText("input_ids") ?? "input_ids",
            AttentionMask = inputs?.FindText("attention_mask") ?? "attention_mask",
            PositionIds = inputs?.FindText("position_ids") ?? "position_ids",
            Logits = outputs?.FindText("logits") ?? "logits",
            CacheNames =
            [
                inputs?.FindText("past_key_names") ?? UsualCacheNames[0],
                inputs?.FindText("past_value_names") ?? UsualCacheNames[1],
                outputs?.FindText("present_key_names") ?? UsualCacheNames[2],
                outputs?.FindText("present_value_names") ?? UsualCacheNames[3],
            ],
        };
    }

    /// <summary>GPT-2 has other names for the sizes than later families.</summary>
    private static GenAiConfig ReadPlainExport(JsonFields config)
    {
        int heads = Size("num_attention_heads", "n_head");
        return new()
        {
            Graph = FileNames.Graph,
            Layers = Size("num_hidden_layers", "n_layer"),
            ContextLength = Size("max_position_embeddings", "n_positions"),
            VocabularySize = config.Integer("vocab_size", from: 1),
            EndOfTextIds = config.Ids("eos_token_id"),
            KeyValueHeads = config.FindInteger("num_key_value_heads", from: 1) ?? heads,
            HeadSize = config.FindInteger("head_dim", from: 1) ?? (Size("hidden_size", "n_embd") / heads),
            InputIds = "input_ids",
            AttentionMask = "attention_mask",
            PositionIds = "position_ids",
            Logits = "logits",
            CacheNames = UsualCacheNames,
        };

        int Size(string name, string older) => config.FindInteger(name, from: 1) ?? config.FindInteger(older, from: 1) ?? config.Integer(name, from: 1);
    }
}
