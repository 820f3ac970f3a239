using System.Text.Json.Nodes;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>The tokenizer of a GGUF file (the keys <c>tokenizer.*</c>), and Hugging Face's files for it.</summary>
internal sealed record GgufTokenizer
{
    public const string ModelKey = "tokenizer.ggml.model";
    public const string TokensKey = "tokenizer.ggml.tokens";

    private const string Prefix = "tokenizer.ggml.";
    private const string PreKey = Prefix + "pre", TypesKey = Prefix + "token_type", ScoresKey = Prefix + "scores", MergesKey = Prefix + "merges";
    private const string AddBeginKey = Prefix + "add_bos_token", AddEndKey = Prefix + "add_eos_token", AddSpaceKey = Prefix + "add_space_prefix";
    private const string TemplateKey = "tokenizer.chat_template";

    /// <summary>Byte-level BPE with a list of merges, as in GPT-2.</summary>
    public const string ByteLevel = "gpt2";

    /// <summary>SentencePiece BPE with scores, as in Llama 2.</summary>
    public const string SentencePiece = "llama";

    // Tokens that end an answer in whatever file they are, as in llama.cpp.
    private static readonly HashSet<string> Ends =
    [
        "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|eom_id|>", "<EOT>", "_<EOT>", "<|end_of_text|>", "<end_of_utterance>", "<｜end▁of▁sentence｜>",
    ];

    private GgufTokenizer()
    {
    }

    /// <summary><see cref="ByteLevel"/> or <see cref="SentencePiece"/>.</summary>
    public required string Model { get; init; }

    /// <summary>By id.</summary>
    public required IReadOnlyList<string> Tokens { get; init; }

    /// <summary>By id.</summary>
    public required IReadOnlyList<GgufTokenType> Types { get; init; }

    /// <summary>By id; of SentencePiece only.</summary>
    public IReadOnlyList<float> Scores { get; init; } = [];

    /// <summary>In the order of their rank; of byte-level BPE only.</summary>
    public IReadOnlyList<(string Left, string Right)> Merges { get; init; } = [];

    /// <summary>Of byte-level BPE only.</summary>
    public GgufPreTokenizer? PreTokenizer { get; init; }

    /// <summary>Whether the spaces behind special tokens are dropped, as in Phi-3.</summary>
    public bool StripsBehindSpecial { get; init; }

    /// <summary>The token that begins a text; null where there is none.</summary>
    public int? BeginId { get; init; }

    public int? UnknownId { get; init; }

    public int? PadId { get; init; }

    /// <summary>The tokens that end a text or a turn; the first is the file's end of a text.</summary>
    public required IReadOnlyList<int> EndIds { get; init; }

    /// <summary>Whether encoding adds the token that begins a text.</summary>
    public bool AddsBegin { get; init; }

    /// <summary>Whether encoding adds the token that ends a text.</summary>
    public bool AddsEnd { get; init; }

    /// <summary>Whether a space goes before a text; of SentencePiece only.</summary>
    public bool AddsSpace { get; init; }

    /// <summary>The chat template, in Jinja; null where there is none.</summary>
    public string? ChatTemplate { get; init; }

    /// <exception cref="EngineException">InvalidModelFolder: no tokenizer, or one of a kind that is not supported; names file, key, value and what is accepted.</exception>
    public static GgufTokenizer Read(GgufMetadata metadata)
    {
        string model = metadata.Text(ModelKey);
        if (model is not (ByteLevel or SentencePiece))
        {
            throw metadata.Wrong(ModelKey, $"{ByteLevel} or {SentencePiece}");
        }

        string[] tokens = [.. metadata.Texts(TokensKey).Select((token, id) => token.Length > 0 ? token : $"[EMPTY_{id}]")];
        Dictionary<string, int> ids = new(tokens.Length);
        foreach ((int id, string token) in tokens.Index())
        {
            if (!ids.TryAdd(token, id))
            {
                throw metadata.Wrong(TokensKey, $"each token once: '{token}' has the ids {ids[token]} and {id}");
            }
        }

        int[] types = metadata.FindIntegers(TypesKey, 0, (int)GgufTokenType.Byte) ?? [.. Enumerable.Repeat((int)GgufTokenType.Normal, tokens.Length)];
        if (types.Length != tokens.Length)
        {
            throw metadata.Wrong(TypesKey, $"one type for each of the {tokens.Length} tokens");
        }

        int? Id(string key) => metadata.FindInteger($"{Prefix}{key}_token_id", 0, tokens.Length - 1);
        bool isSentencePiece = model == SentencePiece;
        GgufPreTokenizer? pre = isSentencePiece ? null : GgufPreTokenizer.Find(metadata.FindText(PreKey) ?? "") ?? throw metadata.Wrong(PreKey, $"one of {string.Join(", ", GgufPreTokenizer.Names)}");
        if (!isSentencePiece && metadata.FindFlag(AddSpaceKey) == true)
        {
            throw metadata.Wrong(AddSpaceKey, $"false, since {ModelKey} is {ByteLevel}");
        }

        // Files of SentencePiece may leave out what llama.cpp has as defaults.
        int? Usual(int id) => isSentencePiece && id < tokens.Length ? id : null;
        int? end = Id("eos") ?? Usual(2), begin = Id("bos") ?? Usual(1);
        int[] ends = [.. new[] { end, Id("eot"), Id("eom") }.OfType<int>().Concat(Ends.Where(ids.ContainsKey).Select(token => ids[token]).Order()).Distinct()];
        GgufTokenizer result = new()
        {
            Model = model,
            Tokens = tokens,
            Types = [.. types.Select((type, id) => Ends.Contains(tokens[id]) ? GgufTokenType.Control : (GgufTokenType)type)],
            Scores = isSentencePiece ? ReadScores(metadata, tokens.Length) : [],
            Merges = isSentencePiece ? [] : ReadMerges(metadata, ids),
            PreTokenizer = pre,
            StripsBehindSpecial = isSentencePiece && metadata.FindText("general.name") is { } name && (name.Contains("phi-3", StringComparison.OrdinalIgnoreCase) || name.Contains("phi3", StringComparison.OrdinalIgnoreCase)),
            BeginId = begin,
            UnknownId = Id("unknown") ?? Usual(0),
            PadId = Id("padding"),
            EndIds = ends,
            AddsBegin = metadata.FindFlag(AddBeginKey) ?? (isSentencePiece || pre!.AddsBegin),
            AddsEnd = metadata.FindFlag(AddEndKey) ?? false,
            AddsSpace = isSentencePiece && (metadata.FindFlag(AddSpaceKey) ?? true),
            ChatTemplate = metadata.FindText(TemplateKey),
        };
        return result.AddsBegin && begin is null ? throw metadata.Wrong(Prefix + "bos_token_id", $"a token id, since {AddBeginKey} is true")
            : result.AddsEnd && end is null ? throw metadata.Wrong(Prefix + "eos_token_id", $"a token id, since {AddEndKey} is true")
            : isSentencePiece && result.UnknownId is null ? throw metadata.Wrong(Prefix + "unknown_token_id", "a token id")
            : result;
    }

    /// <summary>Writes tokenizer.json, tokenizer_config.json, generation_config.json and, where there is a template, chat_template.jinja.</summary>
    public void Write(string folder)
    {
        using (FileStream stream = File.Create(Path.Combine(folder, FileNames.Tokenizer)))
        {
            GgufTokenizerJson.Write(this, stream);
        }

        JsonObject config = new()
        {
            ["tokenizer_class"] = "PreTrainedTokenizerFast",
            ["bos_token"] = Token(BeginId),
            ["eos_token"] = Token(EndIds.Count > 0 ? EndIds[0] : null),
            ["unk_token"] = Token(UnknownId),
            ["pad_token"] = Token(PadId),
            ["add_bos_token"] = AddsBegin,
            ["add_eos_token"] = AddsEnd,
            ["clean_up_tokenization_spaces"] = false,
        };
        WriteJson(folder, FileNames.TokenizerConfig, config);
        WriteJson(folder, FileNames.GenerationConfig, new() { ["bos_token_id"] = BeginId, ["eos_token_id"] = new JsonArray([.. EndIds.Select(id => (JsonNode)id)]), ["pad_token_id"] = PadId });
        if (ChatTemplate is not null)
        {
            File.WriteAllText(Path.Combine(folder, FileNames.ChatTemplate), ChatTemplate);
        }

        string? Token(int? id) => id is { } index ? Tokens[index] : null;
    }

    private static void WriteJson(string folder, string name, JsonObject json) => File.WriteAllText(Path.Combine(folder, name), json.ToJsonString(JsonFile.Indented) + "\n");

    private static float[] ReadScores(GgufMetadata metadata, int count) =>
        metadata.FindNumbers(ScoresKey) is { } scores && scores.Length == count && !scores.Any(float.IsNaN) ? scores : throw metadata.Wrong(ScoresKey, $"a number for each of the {count} tokens");

    private static (string, string)[] ReadMerges(GgufMetadata metadata, Dictionary<string, int> ids)
    {
        return [.. metadata.Texts(MergesKey).Select(Merge)];

        (string, string) Merge(string merge, int rank)
        {
            // A space may be the first character of the left part.
            int space = merge.Length > 1 ? merge.IndexOf(' ', 1) : -1;
            (string left, string right) = space > 0 ? (merge[..space], merge[(space + 1)..]) : throw metadata.Wrong(MergesKey, $"two parts with a space between them; merge {rank} is '{merge}'");
            return ids.ContainsKey(left) && ids.ContainsKey(right) && ids.ContainsKey(left + right) ? (left, right)
                : throw metadata.Wrong(MergesKey, $"merges of tokens into tokens; merge {rank} is '{merge}'");
        }
    }
}

/// <summary>What a token is for; the numbers are llama.cpp's (llama_token_type).</summary>
internal enum GgufTokenType
{
    Undefined,
    Normal,
    Unknown,

    /// <summary>Begins or ends a text or a turn.</summary>
    Control,

    /// <summary>Found in a text before everything else, and part of the text.</summary>
    UserDefined,
    Unused,
    Byte,
}
