namespace ProxyTune.Gateway.Experts;

/// <summary>
/// The regular expressions of tokenizers that are in use. The tokenizer's library matches them with backtracking and without a time limit, so
/// a malicious one could block the server. All others are refused.
/// </summary>
internal static class KnownPatterns
{
    private const string Cl100k = @"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private static readonly HashSet<string> All =
    [
        // This project's trainer: GPT-2's with blanks behind words.
        @"'(?:s|t|re|ve|m|ll|d) ?|\p{L}+ ?|\p{N}+ ?|[^\s\p{L}\p{N}]+ ?|\s+",

        // GPT-2.
        @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        @"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",

        // cl100k, Llama 3, OLMo 2.
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|" + Cl100k,
        @"(?i:[sdmt]|ll|ve|re)|" + Cl100k,
        @"'(?i:[sdmt]|ll|ve|re)|" + Cl100k,

        // Qwen 2 to 3: numbers digit by digit.
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",

        // o200k and Phi 4.
        @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",

        // Mistral's Tekken.
        @"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",

        // DeepSeek 3, which applies three parts in turn.
        @"\p{N}{1,3}",
        "[一-龥\u3040-ゟ゠-ヿ]+",
        @"[!""#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",

        // Parts of converted SentencePiece tokenizers.
        " {2,}",
        @"\s+",
        @"\p{N}",
        @"\d",
    ];

    public static bool Contain(string pattern) => All.Contains(pattern);
}
