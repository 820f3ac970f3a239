using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace ProxyTune.Decoding.Text;

/// <summary>Filters for HTML and addresses.</summary>
internal static partial class HtmlText
{
    private static readonly SearchValues<char> NoAttribute = SearchValues.Create(" \t\n\r\f\v/>=");

    /// <summary>The text without tags and comments, its white space single, its entities as characters.</summary>
    public static string StripTags(Rendering rendering, string text)
    {
        rendering.Step(1 + (text.Length >> 4));
        for (int start; (start = text.IndexOf("<!--", StringComparison.Ordinal)) >= 0;)
        {
            int end = text.IndexOf("-->", start, StringComparison.Ordinal);
            if (end < 0)
            {
                break;
            }

            rendering.BuildText(text.Length);
            text = text.Remove(start, end + 3 - start);
        }

        StringBuilder plain = new();
        int at = 0;
        for (int start; (start = text.IndexOf('<', at)) >= 0;)
        {
            int end = text.IndexOf('>', start);
            if (end < 0)
            {
                break;
            }

            plain.Append(text, at, start - at);
            at = end + 1;
        }

        plain.Append(text, at, text.Length - at);
        object words = Strings.Find(plain.ToString(), "split")!.Call(rendering, Arguments.None);
        return Unescape(Strings.Join(rendering, " ", words));
    }

    /// <summary>Entities as characters.</summary>
    /// <exception cref="TemplateException">An entity that .NET does not know, or one without a semicolon.</exception>
    public static string Unescape(string text) => Entity().Replace(text, match =>
    {
        string decoded = WebUtility.HtmlDecode(match.Value);
        return match.Value.EndsWith(';') && decoded != match.Value && !match.Value.StartsWith("&#x8", StringComparison.OrdinalIgnoreCase)
            ? decoded : throw TemplateException.Unsupported($"the HTML entity {match.Value}");
    });

    public static object UrlEncode(Rendering rendering, object value)
    {
        if (Operators.AsText(value) is not null || !Operators.IsIterable(value))
        {
            return Quote(rendering, value, forQuery: false);
        }

        IEnumerable<object> pairs = value is DictValue dict ? new DictView(dict, "items").Items() : Operators.Iterate(value);
        return string.Join('&', pairs.Select(pair =>
        {
            List<object> parts = Operators.ListOf(rendering, pair);
            return parts.Count == 2 ? $"{Quote(rendering, parts[0], true)}={Quote(rendering, parts[1], true)}" : throw TemplateException.Failed("a pair has not two values");
        }));
    }

    public static object XmlAttributes(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("xmlattr", "autospace?");
        Operators.Refuse(value);
        StringBuilder text = new();
        foreach ((object key, object item) in (value as DictValue ?? throw TemplateException.Failed($"'{Printing.TypeName(value)}' object has no attribute 'items'")).Items)
        {
            if (item is NoneValue or Undefined)
            {
                continue;
            }

            string name = Operators.AsText(key) ?? throw TemplateException.Failed("expected string or bytes-like object");
            if (name.AsSpan().IndexOfAny(NoAttribute) >= 0)
            {
                throw TemplateException.Failed($"Invalid character in attribute name: {Printing.Quoted(name)}");
            }

            text.Append(text.Length > 0 ? " " : "").Append(Html.Escaped(rendering, key)).Append("=\"").Append(Html.Escaped(rendering, item)).Append('"');
        }

        string attributes = text.Length > 0 && (given[0] is null || Operators.IsTrue(given[0]!)) ? " " + text : text.ToString();
        return rendering.Escapes ? new Markup(attributes) : attributes;
    }

    /// <summary>Addresses as links.</summary>
    public static object Urlize(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("urlize", "trim_url_limit?", "nofollow?", "target?", "rel?", "extra_schemes?");
        if (given[4] is not (null or NoneValue))
        {
            throw TemplateException.Unsupported("extra_schemes of urlize");
        }

        SortedSet<string> relations = new(StringComparer.Ordinal) { "noopener" };
        relations.UnionWith((Operators.AsText(given[3]) ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries));
        if (given[1] is not null && Operators.IsTrue(given[1]!))
        {
            relations.Add("nofollow");
        }

        string rest = $" rel=\"{Html.Escape(rendering, string.Join(' ', relations))}\"" + (Operators.AsText(given[2]) is { Length: > 0 } target ? $" target=\"{Html.Escape(rendering, target)}\"" : "");
        int? limit = given[0] is null or NoneValue ? null : Operators.Index(given[0]);
        StringBuilder text = new();
        foreach (string word in Blanks().Split(Html.Escaped(rendering, value)))
        {
            rendering.Step(1 + (long)((double)word.Length * word.Length / 256));
            text.Append(Link(word, rest, limit));
            rendering.BuildText((2.0 * word.Length) + rest.Length);
        }

        return rendering.Escapes ? new Markup(text.ToString()) : text.ToString();
    }

    private static string Link(string word, string rest, int? limit)
    {
        string head = Head().Match(word).Value, middle = word[head.Length..];
        string tail = Tail().Match(middle).Value;
        middle = middle[..^tail.Length];
        foreach ((string open, string close) in ((string, string)[])[("(", ")"), ("<", ">"), ("&lt;", "&gt;")])
        {
            int opens = middle.AsSpan().Count(open);
            for (int i = opens <= middle.AsSpan().Count(close) ? 0 : Math.Min(opens, tail.AsSpan().Count(close)); i > 0; i--)
            {
                int end = tail.IndexOf(close, StringComparison.Ordinal) + close.Length;
                (middle, tail) = (middle + tail[..end], tail[end..]);
            }
        }

        if (Address().IsMatch(middle))
        {
            string address = middle.StartsWith("https://", StringComparison.Ordinal) || middle.StartsWith("http://", StringComparison.Ordinal) ? middle : "https://" + middle;
            string shown = limit is { } most && PythonText.Length(middle) > most ? middle[..PythonText.Unit(middle, most)] + "..." : middle;
            middle = $"<a href=\"{address}\"{rest}>{shown}</a>";
        }
        else if (middle.StartsWith("mailto:", StringComparison.Ordinal) && Mail().IsMatch(middle[7..]))
        {
            middle = $"<a href=\"{middle}\">{middle[7..]}</a>";
        }
        else if (middle.Contains('@', StringComparison.Ordinal) && !middle.StartsWith("www.", StringComparison.Ordinal) && middle[0] != '@' && !middle.Contains(':', StringComparison.Ordinal) && Mail().IsMatch(middle))
        {
            middle = $"<a href=\"mailto:{middle}\">{middle}</a>";
        }

        return head + middle + tail;
    }

    private static string Quote(Rendering rendering, object value, bool forQuery)
    {
        byte[] bytes = value is BytesValue given ? given.Bytes : Encoding.UTF8.GetBytes(Printing.Text(rendering, value));
        rendering.BuildText(3.0 * bytes.Length);
        StringBuilder quoted = new();
        foreach (byte b in bytes)
        {
            char c = (char)b;
            _ = char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-' or '~' || (c == '/' && !forQuery) ? quoted.Append(c)
                : c == ' ' && forQuery ? quoted.Append('+')
                : quoted.Append(CultureInfo.InvariantCulture, $"%{b:X2}");
        }

        return quoted.ToString();
    }

    [GeneratedRegex("&(#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]*;?)")]
    private static partial Regex Entity();

    [GeneratedRegex(@"([\s\x1C-\x1F]+)")]
    private static partial Regex Blanks();

    [GeneratedRegex("^([(<]|&lt;)+")]
    private static partial Regex Head();

    [GeneratedRegex(@"([)>.,\n]|&gt;)+\z")]
    private static partial Regex Tail();

    [GeneratedRegex(@"^\S+@[\p{L}\p{N}_][\p{L}\p{N}_.-]*\.[\p{L}\p{N}_]+\n?\z")]
    private static partial Regex Mail();

    [GeneratedRegex(
        @"^((https?://|www\.)(([\p{L}\p{N}_%-]+\.)+)?([a-z]{2,63}|xn--[\p{L}\p{N}_%]{2,59})|([\p{L}\p{N}_%-]{2,63}\.)+(com|net|int|edu|gov|org|info|mil)" +
        @"|(https?://)((([\p{Nd}]{1,3})(\.[\p{Nd}]{1,3}){3})|(\[([\p{Nd}a-f]{0,4}:){2}([\p{Nd}a-f]{0,4}:?){1,6}])))(?::[\p{Nd}]{1,5})?(?:[/?#]\S*)?\n?\z",
        RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Address();
}

/// <summary>Python's textwrap, as the filter wordwrap uses it.</summary>
internal static partial class WordWrap
{
    public static object Wrap(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("wordwrap", "width?", "break_long_words?", "wrapstring?", "break_on_hyphens?");
        Operators.Refuse(value);
        string text = Operators.AsText(value) ?? throw TemplateException.Failed($"'{Printing.TypeName(value)}' object has no attribute 'splitlines'");
        int width = given[0] is null ? 79 : Operators.Index(given[0]);
        string end = given[2] is null or NoneValue ? "\n" : Operators.AsText(given[2]) ?? throw TemplateException.Failed("wrapstring must be a text");
        if (width <= 0)
        {
            throw TemplateException.Failed($"invalid width {width} (must be > 0)");
        }

        rendering.Step(1 + (text.Length >> 2));
        rendering.BuildText(text.Length * 4.0);
        IEnumerable<string> wrapped = PythonText.Lines(text).Select(line => string.Join(end, Lines(Chunks(rendering, line, IsSet(given[3])), width, IsSet(given[1]), IsSet(given[3]))));
        string all = string.Join(end, wrapped);
        rendering.BuildText(all.Length);
        return all;

        static bool IsSet(object? flag) => flag is null || Operators.IsTrue(flag);
    }

    private static Stack<string> Chunks(Rendering rendering, string line, bool breaksOnHyphens)
    {
        rendering.Step((long)((double)line.Length * line.Length / 65536));
        string[] parts = (breaksOnHyphens ? WordParts() : Blanks()).Split(line);
        return new(parts.Where(part => part.Length > 0).Reverse());
    }

    private static List<string> Lines(Stack<string> chunks, int width, bool breaksWords, bool breaksOnHyphens)
    {
        List<string> lines = [];
        while (chunks.Count > 0)
        {
            if (lines.Count > 0 && IsBlank(chunks.Peek()))
            {
                chunks.Pop();
            }

            List<string> line = [];
            int length = 0;
            while (chunks.TryPeek(out string? chunk) && length + PythonText.Length(chunk) <= width)
            {
                line.Add(chunks.Pop());
                length += PythonText.Length(chunk);
            }

            if (chunks.TryPeek(out string? longer) && PythonText.Length(longer) > width)
            {
                Break(chunks, line, width - length, breaksWords, breaksOnHyphens);
            }

            if (line.Count > 0 && IsBlank(line[^1]))
            {
                line.RemoveAt(line.Count - 1);
            }

            if (line.Count > 0)
            {
                lines.Add(string.Concat(line));
            }
        }

        return lines;
    }

    private static void Break(Stack<string> chunks, List<string> line, int space, bool breaksWords, bool breaksOnHyphens)
    {
        if (!breaksWords)
        {
            if (line.Count == 0)
            {
                line.Add(chunks.Pop());
            }

            return;
        }

        string chunk = chunks.Pop();
        int end = PythonText.Unit(chunk, space);
        if (breaksOnHyphens && PythonText.Length(chunk) > space && space > 0)
        {
            int hyphen = chunk.AsSpan(0, end).LastIndexOf('-');
            end = hyphen > 0 && chunk.AsSpan(0, hyphen).IndexOfAnyExcept('-') >= 0 ? hyphen + 1 : end;
        }

        line.Add(chunk[..end]);
        chunks.Push(chunk[end..]);
    }

    private static bool IsBlank(string chunk) => chunk.AsSpan().IndexOfAnyExcept(PythonText.Spaces) < 0;

    [GeneratedRegex(@"([\t\n\x0b\x0c\r ]+)")]
    private static partial Regex Blanks();

    [GeneratedRegex(
        @"([\t\n\x0b\x0c\r ]+|(?<=[\p{L}\p{N}_!""'&.,?])-{2,}(?=[\p{L}\p{N}_])" +
        @"|[^\t\n\x0b\x0c\r ]+?(?:-(?:(?<=[\p{L}_]{2}-)|(?<=[\p{L}_]-[\p{L}_]-))(?=[\p{L}_]-?[\p{L}_])|(?=[\t\n\x0b\x0c\r ]|\z)|(?<=[\p{L}\p{N}_!""'&.,?])(?=-{2,}[\p{L}\p{N}_])))")]
    private static partial Regex WordParts();
}
