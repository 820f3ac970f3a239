using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>Reads the parts of tokenizer.json that the native library does not expose: the vocabulary, the special tokens and the decoder.</summary>
internal sealed class TokenizerFile
{
    private readonly Dictionary<int, byte> byteTokens = [];

    private readonly Lazy<string> hash;

    private TokenizerFile(string path, JsonElement root)
    {
        Path = path;
        hash = new Lazy<string>(HashOf);
        ReadVocabulary(root.GetProperty("model").GetProperty("vocab"));
        if (root.TryGetProperty("added_tokens", out JsonElement added) && added.ValueKind == JsonValueKind.Array)
        {
            foreach (JsonElement token in added.EnumerateArray())
            {
                int id = token.GetProperty("id").GetInt32();
                Tokens[id] = token.GetProperty("content").GetString()!;
                if (token.TryGetProperty("special", out JsonElement special) && special.ValueKind == JsonValueKind.True)
                {
                    SpecialIds.Add(id);
                }
            }
        }

        Decoder = root.TryGetProperty("decoder", out JsonElement decoder) ? decoder.Clone() : default;
        string?[] decoders = Decoders(root).ToArray();
        IsByteLevel = decoders is ["ByteLevel"];
        if (decoders.Contains("ByteFallback"))
        {
            foreach ((int id, string? token) in Tokens)
            {
                if (token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
                    && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte value))
                {
                    byteTokens[id] = value;
                }
            }
        }

        VocabularySize = Tokens.Count == 0 ? 0 : Tokens.Keys.Max() + 1;
    }

    /// <summary>Path of the file.</summary>
    public string Path { get; }

    public Dictionary<int, string> Tokens { get; } = [];

    public HashSet<int> SpecialIds { get; } = [];

    public int VocabularySize { get; }

    public bool IsByteLevel { get; }

    /// <summary>The decoder as it stands in the file; undefined if there is none.</summary>
    public JsonElement Decoder { get; }

    /// <summary>The byte that a byte-fallback token stands for.</summary>
    public byte? ByteOf(int id) => byteTokens.TryGetValue(id, out byte value) ? value : null;

    /// <summary>SHA-256 over <c>id bytes token\n</c> for each token in the order of the ids, its length before it so that no token can look like two.</summary>
    public string VocabularyHash => hash.Value;

    public bool SameVocabulary(TokenizerFile other) =>
        Tokens.Count == other.Tokens.Count && Tokens.All(t => other.Tokens.TryGetValue(t.Key, out string? token) && token == t.Value);

    public static TokenizerFile Read(string path)
    {
        using JsonDocument document = JsonDocument.Parse(JsonFile.Bytes(path));
        return new TokenizerFile(path, document.RootElement);
    }

    private string HashOf()
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach ((int id, string? token) in Tokens.OrderBy(token => token.Key))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id} {Encoding.UTF8.GetByteCount(token)} {token}\n")));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private void ReadVocabulary(JsonElement vocabulary)
    {
        if (vocabulary.ValueKind == JsonValueKind.Object)
        {
            foreach (JsonProperty token in vocabulary.EnumerateObject())
            {
                Tokens[token.Value.GetInt32()] = token.Name;
            }

            return;
        }

        // Unigram: [token, score] in order of their ids.
        foreach (JsonElement token in vocabulary.EnumerateArray())
        {
            Tokens[Tokens.Count] = token[0].GetString()!;
        }
    }

    private static IEnumerable<string?> Decoders(JsonElement root)
    {
        if (!root.TryGetProperty("decoder", out JsonElement decoder) || decoder.ValueKind != JsonValueKind.Object)
        {
            return [];
        }

        return decoder.TryGetProperty("decoders", out JsonElement parts)
            ? parts.EnumerateArray().Select(p => p.GetProperty("type").GetString())
            : [decoder.GetProperty("type").GetString()];
    }
}

/// <summary>
/// The 256 characters that stand for bytes in byte-level vocabularies (GPT-2): printable Latin-1 stands for itself, the other bytes for
/// the characters from U+0100 on.
/// </summary>
public static class ByteLevelAlphabet
{
    private static readonly char[] Characters = Build();

    private static readonly Dictionary<char, byte> Values = Enumerable.Range(0, Characters.Length).ToDictionary(b => Characters[b], b => (byte)b);

    public static char Character(byte value) => Characters[value];

    /// <summary>The bytes of a token; one with a character outside the alphabet (an added token) stands for its own UTF-8.</summary>
    public static byte[] Bytes(string token) =>
        token.All(Values.ContainsKey) ? [.. token.Select(c => Values[c])] : Encoding.UTF8.GetBytes(token);

    private static char[] Build()
    {
        char[] characters = new char[256];
        char next = (char)256;
        for (int value = 0; value < characters.Length; value++)
        {
            bool printable = value is >= '!' and <= '~' or >= '¡' and <= '¬' or >= '®' and <= 'ÿ';
            characters[value] = printable ? (char)value : next++;
        }

        return characters;
    }
}
