using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace ProxyTune.Decoding.Text;

/// <summary>
/// The decoder of a tokenizer.json, step by step: tokens in, text out. It is a value with a state; a copy goes its own way.
/// </summary>
/// <remarks>
/// The rules are those of Hugging Face's library, in which a decoder reads all tokens at once. Here each step takes one token and gives what
/// is certain. A step behind <c>Fuse</c> or <c>ByteLevel</c> reads the whole text as one token.
/// </remarks>
internal sealed class TokenDecoder
{
    private readonly DecoderStep[] steps;

    private TokenDecoder(DecoderStep[] steps) => this.steps = steps;

    /// <param name="decoder">The object of tokenizer.json; null or undefined joins the tokens by blanks.</param>
    /// <param name="asStream">
    /// Whether characters are given as soon as their bytes are there. If not, one invalid byte makes its whole run of byte tokens invalid, as
    /// in a decode of all tokens.
    /// </param>
    public static TokenDecoder Of(JsonElement decoder, bool asStream)
    {
        List<DecoderStep> steps = [];
        bool isFused = false;
        foreach (JsonElement part in Parts(decoder))
        {
            steps.Add(Step(part, isFused, asStream));
            isFused |= Type(part) is "Fuse" or "ByteLevel";
        }

        if (steps.Count == 0)
        {
            steps.Add(new BlankBetween());
        }

        return new TokenDecoder([.. steps]);
    }

    public TokenDecoder Copy() => new([.. steps.Select(step => step.Copy())]);

    /// <summary>The text that is certain after this token.</summary>
    public string Push(string token)
    {
        StringBuilder text = new();
        Push(token, 0, text);
        return text.ToString();
    }

    /// <summary>The rest of the text. The decoder is used up.</summary>
    public string End() => Each(step => step.End());

    /// <summary>The part of <see cref="Rest"/> that is certain because all of it was sent.</summary>
    public string Commit() => steps.All(step => step.IsEmpty) ? "" : Each(step => step.Commit());

    /// <summary>The text that comes if nothing follows.</summary>
    public string Rest() => steps.All(step => step.IsEmpty) ? "" : Copy().End();

    /// <summary>A run of bytes is over, and what is unfinished of it is left out.</summary>
    public void EndBytes()
    {
        foreach (DecoderStep step in steps)
        {
            step.EndBytes();
        }
    }

    private string Each(Func<DecoderStep, IEnumerable<string>> left)
    {
        StringBuilder text = new();
        for (int i = 0; i < steps.Length; i++)
        {
            foreach (string token in left(steps[i]))
            {
                Push(token, i + 1, text);
            }
        }

        return text.ToString();
    }

    private void Push(string token, int at, StringBuilder text)
    {
        if (at == steps.Length)
        {
            text.Append(token);
            return;
        }

        foreach (string next in steps[at].Push(token))
        {
            Push(next, at + 1, text);
        }
    }

    private static IEnumerable<JsonElement> Parts(JsonElement decoder) =>
        decoder.ValueKind != JsonValueKind.Object ? []
        : decoder.TryGetProperty("decoders", out JsonElement parts) ? parts.EnumerateArray().SelectMany(Parts)
        : [decoder];

    private static string? Type(JsonElement part) => part.GetProperty("type").GetString();

    private static DecoderStep Step(JsonElement part, bool isFused, bool asStream) => Type(part) switch
    {
        "ByteLevel" => new ByteLevelStep(),
        "ByteFallback" => asStream ? new ByteFallbackStep() : new WholeRuns(),
        "Fuse" => new EachToken(token => token),
        "Replace" when isFused => ReplaceInText(part),
        "Replace" => new EachToken(Replace(part)),
        "Strip" when isFused => new StripText(Blank(part), part.GetProperty("start").GetInt32(), part.GetProperty("stop").GetInt32()),
        "Strip" => new EachToken(token => Strip(token, Blank(part), part.GetProperty("start").GetInt32(), part.GetProperty("stop").GetInt32())),
        "Metaspace" => new FirstAndLater(Metaspace(part, isFirst: true), Metaspace(part, isFirst: isFused)),
        "WordPiece" => InText(isFused, new FirstAndLater(WordPiece(part, isFirst: true), WordPiece(part, isFirst: false))),
        "BPEDecoder" => InText(isFused, new WordEnds(Text(part, "suffix", "</w>"))),
        "CTC" => InText(isFused, new Collapse(Ctc(part))),
        string type => throw new NotSupportedException($"decoder.type is {type}; ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, WordPiece, BPEDecoder, CTC and Sequence are accepted."),
        null => throw new NotSupportedException("decoder.type is null; the name of a decoder is accepted."),
    };

    private static DecoderStep InText(bool isFused, DecoderStep step) => isFused ? new WholeText(step) : step;

    private static string Text(JsonElement part, string name, string missing) =>
        part.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : missing;

    private static bool Flag(JsonElement part, string name) => !part.TryGetProperty(name, out JsonElement value) || value.ValueKind != JsonValueKind.False;

    private static Rune Blank(JsonElement part) => Rune.GetRuneAt(Text(part, "content", " "), 0);

    private static Func<string, string> Replace(JsonElement part)
    {
        JsonElement pattern = part.GetProperty("pattern");
        string content = Text(part, "content", "");
        if (pattern.TryGetProperty("Regex", out JsonElement expression))
        {
            Regex regex = new(expression.GetString()!, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
            return token => regex.Replace(token, _ => content);
        }

        string text = pattern.GetProperty("String").GetString()!;
        return text.Length == 0 ? token => token : token => token.Replace(text, content, StringComparison.Ordinal);
    }

    private static DecoderStep ReplaceInText(JsonElement part) =>
        part.GetProperty("pattern").TryGetProperty("String", out JsonElement text) && text.GetString() is { Length: > 0 } found
            ? new ReplaceText(found, Text(part, "content", ""))
            : new WholeText(new EachToken(Replace(part)));

    private static string Strip(string token, Rune blank, int start, int stop)
    {
        string character = blank.ToString();
        for (; start > 0 && token.StartsWith(character, StringComparison.Ordinal); start--)
        {
            token = token[character.Length..];
        }

        for (; stop > 0 && token.EndsWith(character, StringComparison.Ordinal); stop--)
        {
            token = token[..^character.Length];
        }

        return token;
    }

    private static Func<string, string> Metaspace(JsonElement part, bool isFirst)
    {
        string mark = Text(part, "replacement", "▁");
        // Older files say add_prefix_space instead of prepend_scheme.
        bool never = Text(part, "prepend_scheme", Flag(part, "add_prefix_space") ? "always" : "never") == "never";
        string blank = isFirst && !never ? "" : " ";
        return token => token.Replace(mark, blank, StringComparison.Ordinal);
    }

    private static Func<string, string> WordPiece(JsonElement part, bool isFirst)
    {
        string prefix = Text(part, "prefix", "##");
        bool cleans = Flag(part, "cleanup");
        return token =>
        {
            string text = isFirst ? token : token.StartsWith(prefix, StringComparison.Ordinal) ? token[prefix.Length..] : " " + token;
            return cleans ? Cleanup(text) : text;
        };
    }

    private static Func<string, string> Ctc(JsonElement part)
    {
        string pad = Text(part, "pad_token", "<pad>"), delimiter = Text(part, "word_delimiter_token", "|");
        bool cleans = Flag(part, "cleanup");
        return token =>
        {
            string text = token.Replace(pad, "", StringComparison.Ordinal);
            return cleans ? Cleanup(text).Replace(delimiter, " ", StringComparison.Ordinal) : text;
        };
    }

    private static string Cleanup(string text) => text
        .Replace(" .", ".", StringComparison.Ordinal).Replace(" ?", "?", StringComparison.Ordinal)
        .Replace(" !", "!", StringComparison.Ordinal).Replace(" ,", ",", StringComparison.Ordinal)
        .Replace(" ' ", "'", StringComparison.Ordinal).Replace(" n't", "n't", StringComparison.Ordinal)
        .Replace(" 'm", "'m", StringComparison.Ordinal).Replace(" do not", " don't", StringComparison.Ordinal)
        .Replace(" 's", "'s", StringComparison.Ordinal).Replace(" 've", "'ve", StringComparison.Ordinal)
        .Replace(" 're", "'re", StringComparison.Ordinal);
}

/// <summary>Detokenisation by a file's decoder. A piece is the text that has come to what was given before.</summary>
/// <param name="decoder">It has read what the text continues.</param>
/// <param name="tokenOf">Null for an id that gives no text.</param>
internal sealed class DecoderStream(TokenDecoder decoder, Func<int, string?> tokenOf) : TokenStream
{
    // Certain, and not given yet.
    private readonly StringBuilder held = new();

    // Characters that were given before they were certain, or that belong to the prompt. If there are any, nothing is held.
    private int ahead = decoder.Rest().Length;

    public override string Append(int id)
    {
        if (tokenOf(id) is not { } token)
        {
            return "";
        }

        Hold(decoder.Push(token));
        string rest = decoder.Rest();
        string last = rest.Length > 0 ? rest : held.Length > 0 ? held.ToString(held.Length - 1, 1) : "";
        if (last.EndsWith(Rune.ReplacementChar.ToString(), StringComparison.Ordinal))
        {
            return "";
        }

        string piece = held + rest[Math.Min(ahead, rest.Length)..];
        held.Clear();
        ahead = Math.Max(ahead, rest.Length);
        if (piece.Length > 0)
        {
            Hold(decoder.Commit());
        }

        return piece;
    }

    public override string Finish()
    {
        Hold(decoder.End());
        string piece = held.ToString();
        held.Clear();
        return piece;
    }

    private void Hold(string certain)
    {
        int known = Math.Min(ahead, certain.Length);
        ahead -= known;
        held.Append(certain, known, certain.Length - known);
    }
}
