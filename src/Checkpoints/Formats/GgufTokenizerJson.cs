using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>Hugging Face's tokenizer.json for the tokenizer of a GGUF file.</summary>
/// <remarks>
/// llama.cpp's SentencePiece merges the pair whose token has the highest score. BPE with merges in the order of those scores does the same, as
/// transformers converts Llama 2. Where tokens have equal scores, llama.cpp merges from the left and BPE by rank.
/// </remarks>
internal static class GgufTokenizerJson
{
    private const string Space = "▁";

    // Written as they are, since a vocabulary is mostly such characters.
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Phi-3's tokens whose following spaces stay.
    private static readonly HashSet<string> KeepSpaces = ["<unk>", "<s>", "<|endoftext|>"];

    public static void Write(GgufTokenizer tokenizer, Stream stream)
    {
        bool isSentencePiece = tokenizer.Model == GgufTokenizer.SentencePiece;
        using Utf8JsonWriter json = new(stream, Readable);
        json.WriteStartObject();
        json.WriteString("version", "1.0");
        json.WriteNull("truncation");
        json.WriteNull("padding");
        WriteAddedTokens(json, tokenizer);
        WriteNode(json, "normalizer", isSentencePiece ? Normalizer(tokenizer) : null);
        WriteNode(json, "pre_tokenizer", isSentencePiece ? null : PreTokenizer(tokenizer.PreTokenizer!));
        WriteNode(json, "post_processor", tokenizer.AddsBegin || tokenizer.AddsEnd ? PostProcessor(tokenizer) : null);
        WriteNode(json, "decoder", isSentencePiece ? SentencePieceDecoder(tokenizer) : ByteLevel());
        WriteModel(json, tokenizer, isSentencePiece);
        json.WriteEndObject();
    }

    private static void WriteAddedTokens(Utf8JsonWriter json, GgufTokenizer tokenizer)
    {
        json.WriteStartArray("added_tokens");
        foreach ((int id, string token) in tokenizer.Tokens.Index())
        {
            GgufTokenType type = tokenizer.Types[id];
            if (type is not (GgufTokenType.Control or GgufTokenType.UserDefined or GgufTokenType.Unknown))
            {
                continue;
            }

            json.WriteStartObject();
            json.WriteNumber("id", id);
            json.WriteString("content", token);
            json.WriteBoolean("single_word", false);
            json.WriteBoolean("lstrip", false);
            json.WriteBoolean("rstrip", tokenizer.StripsBehindSpecial && !KeepSpaces.Contains(token));
            json.WriteBoolean("normalized", false);
            json.WriteBoolean("special", type != GgufTokenType.UserDefined);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static JsonObject Normalizer(GgufTokenizer tokenizer)
    {
        JsonObject spaces = new() { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = " " }, ["content"] = Space };
        return tokenizer.AddsSpace
            ? new() { ["type"] = "Sequence", ["normalizers"] = new JsonArray(new JsonObject { ["type"] = "Prepend", ["prepend"] = Space }, spaces) }
            : spaces;
    }

    private static JsonObject PreTokenizer(GgufPreTokenizer pre)
    {
        IEnumerable<JsonNode> splits = pre.Patterns.Select(pattern => (JsonNode)new JsonObject
        {
            ["type"] = "Split",
            ["pattern"] = new JsonObject { ["Regex"] = pattern },
            ["behavior"] = "Isolated",
            ["invert"] = false,
        });
        return new() { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray([.. splits, ByteLevel()]) };
    }

    private static JsonObject ByteLevel() => new() { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = false };

    private static JsonObject PostProcessor(GgufTokenizer tokenizer)
    {
        int[] begin = tokenizer.AddsBegin ? [tokenizer.BeginId!.Value] : [], end = tokenizer.AddsEnd ? [tokenizer.EndIds[0]] : [];
        JsonObject special = [];
        foreach (int id in begin.Concat(end).Distinct())
        {
            string token = tokenizer.Tokens[id];
            special[token] = new JsonObject { ["id"] = token, ["ids"] = new JsonArray(id), ["tokens"] = new JsonArray(token) };
        }

        return new()
        {
            ["type"] = "TemplateProcessing",
            ["single"] = new JsonArray([.. Around("A", 0)]),
            ["pair"] = new JsonArray([.. Around("A", 0), .. Around("B", 1)]),
            ["special_tokens"] = special,
        };

        IEnumerable<JsonNode> Around(string text, int type) =>
        [
            .. begin.Select(id => Part("SpecialToken", tokenizer.Tokens[id], type)),
            Part("Sequence", text, type),
            .. end.Select(id => Part("SpecialToken", tokenizer.Tokens[id], type)),
        ];

        static JsonObject Part(string kind, string id, int type) => new() { [kind] = new JsonObject { ["id"] = id, ["type_id"] = type } };
    }

    private static JsonObject SentencePieceDecoder(GgufTokenizer tokenizer)
    {
        List<JsonNode> steps =
        [
            new JsonObject { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = Space }, ["content"] = " " },
            new JsonObject { ["type"] = "ByteFallback" },
            new JsonObject { ["type"] = "Fuse" },
        ];
        if (tokenizer.AddsSpace)
        {
            steps.Add(new JsonObject { ["type"] = "Strip", ["content"] = " ", ["start"] = 1, ["stop"] = 0 });
        }

        return new() { ["type"] = "Sequence", ["decoders"] = new JsonArray([.. steps]) };
    }

    private static void WriteModel(Utf8JsonWriter json, GgufTokenizer tokenizer, bool isSentencePiece)
    {
        json.WriteStartObject("model");
        json.WriteString("type", "BPE");
        json.WriteNull("dropout");
        json.WriteString("unk_token", isSentencePiece ? tokenizer.Tokens[tokenizer.UnknownId!.Value] : null);
        json.WriteNull("continuing_subword_prefix");
        json.WriteNull("end_of_word_suffix");
        json.WriteBoolean("fuse_unk", isSentencePiece);
        json.WriteBoolean("byte_fallback", isSentencePiece);
        json.WriteBoolean("ignore_merges", tokenizer.PreTokenizer?.IgnoreMerges ?? false);
        json.WriteStartObject("vocab");
        foreach ((int id, string token) in tokenizer.Tokens.Index())
        {
            json.WriteNumber(token, id);
        }

        json.WriteEndObject();
        json.WriteStartArray("merges");
        foreach ((string left, string right) in isSentencePiece ? ByScore(tokenizer) : tokenizer.Merges)
        {
            json.WriteStartArray();
            json.WriteStringValue(left);
            json.WriteStringValue(right);
            json.WriteEndArray();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    /// <summary>Every way to put a token together from two others, the highest score first.</summary>
    private static IEnumerable<(string Left, string Right)> ByScore(GgufTokenizer tokenizer)
    {
        Dictionary<string, int> ids = tokenizer.Tokens.Index().ToDictionary(token => token.Item, token => token.Index);
        return ids.OrderByDescending(token => tokenizer.Scores[token.Value]).ThenBy(token => token.Value).SelectMany(token => Splits(token.Key));

        IEnumerable<(string Left, string Right)> Splits(string token) => Enumerable.Range(1, token.Length - 1)
            .Where(i => !char.IsLowSurrogate(token[i]))
            .Select(i => (Left: token[..i], Right: token[i..]))
            .Where(split => ids.ContainsKey(split.Left) && ids.ContainsKey(split.Right))
            .OrderBy(split => ids[split.Left]).ThenBy(split => ids[split.Right]);
    }

    private static void WriteNode(Utf8JsonWriter json, string name, JsonNode? node)
    {
        json.WritePropertyName(name);
        if (node is null)
        {
            json.WriteNullValue();
            return;
        }

        node.WriteTo(json);
    }
}
