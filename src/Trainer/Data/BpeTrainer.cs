using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace ProxyTune.Trainer.Data;

/// <summary>
/// Trains a byte-level BPE tokenizer (Sennrich et al. 2016; bytes as in GPT-2, Radford et al. 2019) and writes Hugging Face's tokenizer.json.
/// Ids: special tokens, then the 256 bytes, then merges in the order in which they were learned.
/// </summary>
internal static partial class BpeTrainer
{
    /// <summary>
    /// Words, numbers and runs of punctuation, each with the space that follows it. GPT-2 takes the space before a word instead. A fact would then be
    /// one token in a sentence (" baker") and another in JSON or alone ("baker"), and a small model that learned the one would not know the
    /// other. Most facts end their sentence, so with the space after the word they are the same token everywhere.
    /// </summary>
    private const string PiecePattern = @"'(?:s|t|re|ve|m|ll|d) ?|\p{L}+ ?|\p{N}+ ?|[^\s\p{L}\p{N}]+ ?|\s+";

    [GeneratedRegex(PiecePattern)]
    private static partial Regex Pieces();

    /// <param name="texts">The training text. Special tokens inside it are removed.</param>
    /// <param name="vocabularySize">At least the special tokens and 256 bytes. The result is smaller if no pair is left that occurs twice.</param>
    public static JsonObject Train(IEnumerable<string> texts, IReadOnlyList<string> specialTokens, int vocabularySize)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabularySize, specialTokens.Count + 256);
        char[] bytes = ByteAlphabet();
        List<Word> words = Count(texts, specialTokens, bytes);
        List<string> tokens = new([.. specialTokens, .. bytes.Select(c => c.ToString())]);
        List<(string Left, string Right)> merges = new();
        while (tokens.Count < vocabularySize && MostFrequentPair(words) is { } pair)
        {
            merges.Add(pair);
            tokens.Add(pair.Left + pair.Right);
            words.ForEach(word => Merge(word.Symbols, pair));
        }

        return Describe(tokens, merges, specialTokens);
    }

    private sealed record Word(List<string> Symbols, long Count);

    private static List<Word> Count(IEnumerable<string> texts, IReadOnlyList<string> specialTokens, char[] bytes)
    {
        // Without special tokens the pattern is one that never matches.
        Regex split = new(string.Join('|', specialTokens.Select(Regex.Escape).DefaultIfEmpty("(?!)")));
        Dictionary<string, long> counts = new();
        foreach (Match piece in texts.SelectMany(text => split.Split(text)).SelectMany(part => Pieces().Matches(part)))
        {
            counts[piece.Value] = counts.GetValueOrDefault(piece.Value) + 1;
        }

        return [.. counts.OrderBy(c => c.Key, StringComparer.Ordinal)
            .Select(c => new Word([.. Encoding.UTF8.GetBytes(c.Key).Select(b => bytes[b].ToString())], c.Value))];
    }

    private static (string Left, string Right)? MostFrequentPair(List<Word> words)
    {
        Dictionary<(string Left, string Right), long> counts = new();
        foreach (Word word in words)
        {
            for (int i = 1; i < word.Symbols.Count; i++)
            {
                (string, string) pair = (word.Symbols[i - 1], word.Symbols[i]);
                counts[pair] = counts.GetValueOrDefault(pair) + word.Count;
            }
        }

        KeyValuePair<(string Left, string Right), long>[] frequent = counts.Where(c => c.Value > 1).ToArray();
        return frequent.Length == 0
            ? null
            : frequent.OrderByDescending(c => c.Value).ThenBy(c => c.Key.Left + ' ' + c.Key.Right, StringComparer.Ordinal).First().Key;
    }

    private static void Merge(List<string> symbols, (string Left, string Right) pair)
    {
        for (int i = 0; i < symbols.Count - 1; i++)
        {
            if (symbols[i] == pair.Left && symbols[i + 1] == pair.Right)
            {
                symbols[i] += symbols[i + 1];
                symbols.RemoveAt(i + 1);
            }
        }
    }

    /// <summary>GPT-2's printable character for each byte: a printable byte stands for itself, every other byte for the next code point from 256 on.</summary>
    private static char[] ByteAlphabet()
    {
        int next = 256;
        return [.. Enumerable.Range(0, 256).Select(b => b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE ? (char)b : (char)next++)];
    }

    private static JsonObject Describe(List<string> tokens, List<(string Left, string Right)> merges, IReadOnlyList<string> specialTokens)
    {
        var byteLevel = new { type = "ByteLevel", add_prefix_space = false, trim_offsets = true, use_regex = false };
        return JsonSerializer.SerializeToNode(new
        {
            version = "1.0",
            added_tokens = specialTokens.Select((content, id) => new
            {
                id,
                content,
                single_word = false,
                lstrip = false,
                rstrip = false,
                normalized = false,
                special = true,
            }),
            pre_tokenizer = new
            {
                type = "Sequence",
                pretokenizers = new object[] { new { type = "Split", pattern = new { Regex = PiecePattern }, behavior = "Isolated", invert = false }, byteLevel },
            },
            decoder = byteLevel,
            model = new
            {
                type = "BPE",
                fuse_unk = false,
                byte_fallback = false,
                ignore_merges = false,
                vocab = tokens.Select((token, id) => (token, id)).ToDictionary(t => t.token, t => t.id),
                merges = merges.Select(m => new[] { m.Left, m.Right }),
            },
        })!.AsObject();
    }
}
