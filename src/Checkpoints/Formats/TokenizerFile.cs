using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>What the native library does not tell of a tokenizer.json: the map of tokens, which are special, and how they become text.</summary>
internal sealed class TokenizerFile
{
    private readonly Dictionary<int, byte> _byteTokens = [];

    private readonly Lazy<string> _hash;

    private TokenizerFile(string path, JsonElement root)
    {
        Path = path;
        _hash = new Lazy<string>(HashOf);
        ReadVocabulary(root.GetProperty("model").GetProperty("vocab"));
        if (root.TryGetProperty("added_tokens", out var added) && added.ValueKind == JsonValueKind.Array)
        {
            foreach (var token in added.EnumerateArray())
            {
                var id = token.GetProperty("id").GetInt32();
                Tokens[id] = token.GetProperty("content").GetString()!;
                if (token.TryGetProperty("special", out var special) && special.ValueKind == JsonValueKind.True)
                {
                    SpecialIds.Add(id);
                }
            }
        }

        var decoders = Decoders(root).ToArray();
        IsByteLevel = decoders is ["ByteLevel"];
        if (decoders.Contains("ByteFallback"))
        {
            foreach (var (id, token) in Tokens)
            {
                if (token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
                    && byte.TryParse(token.AsSpan(3, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
                {
                    _byteTokens[id] = value;
                }
            }
        }

        VocabularySize = Tokens.Count == 0 ? 0 : Tokens.Keys.Max() + 1;
    }

    /// <summary>Where it was read.</summary>
    public string Path { get; }

    public Dictionary<int, string> Tokens { get; } = [];

    public HashSet<int> SpecialIds { get; } = [];

    public int VocabularySize { get; }

    public bool IsByteLevel { get; }

    /// <summary>The byte that a byte-fallback token stands for.</summary>
    public byte? ByteOf(int id) => _byteTokens.TryGetValue(id, out var value) ? value : null;

    /// <summary>SHA-256 over <c>id bytes token\n</c> for each token in the order of the ids, its length before it so that no token can look like two.</summary>
    public string VocabularyHash => _hash.Value;

    public bool SameVocabulary(TokenizerFile other) =>
        Tokens.Count == other.Tokens.Count && Tokens.All(t => other.Tokens.TryGetValue(t.Key, out var token) && token == t.Value);

    public static TokenizerFile Read(string path)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(path));
        return new TokenizerFile(path, document.RootElement);
    }

    private string HashOf()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (id, token) in Tokens.OrderBy(token => token.Key))
        {
            hash.AppendData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{id} {Encoding.UTF8.GetByteCount(token)} {token}\n")));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private void ReadVocabulary(JsonElement vocabulary)
    {
        if (vocabulary.ValueKind == JsonValueKind.Object)
        {
            foreach (var token in vocabulary.EnumerateObject())
            {
                Tokens[token.Value.GetInt32()] = token.Name;
            }

            return;
        }

        // Unigram: [token, score] in order of their ids.
        foreach (var token in vocabulary.EnumerateArray())
        {
            Tokens[Tokens.Count] = token[0].GetString()!;
        }
    }

    private static IEnumerable<string?> Decoders(JsonElement root)
    {
        if (!root.TryGetProperty("decoder", out var decoder) || decoder.ValueKind != JsonValueKind.Object)
        {
            return [];
        }

        return decoder.TryGetProperty("decoders", out var parts)
            ? parts.EnumerateArray().Select(p => p.GetProperty("type").GetString())
            : [decoder.GetProperty("type").GetString()];
    }
}
