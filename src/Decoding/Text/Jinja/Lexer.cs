using System.Globalization;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>What a token of a template is.</summary>
internal enum TokenKind
{
    Data,
    PrintBegin,
    PrintEnd,
    BlockBegin,
    BlockEnd,
    Name,
    Text,
    Integer,
    Float,
    Operator,
    End,
}

/// <param name="Text">Of a name or operator itself; of data and literals, the content.</param>
/// <param name="Number">The value of a number.</param>
internal readonly record struct Token(TokenKind Kind, string Text, int Line, object? Number = null)
{
    public bool IsName(string name) => Kind == TokenKind.Name && Text == name;

    public bool IsOperator(string text) => Kind == TokenKind.Operator && Text == text;

    public override string ToString() => Kind switch
    {
        TokenKind.PrintEnd => "end of print statement",
        TokenKind.BlockEnd => "end of statement block",
        TokenKind.End => "end of template",
        _ => Text,
    };
}

/// <summary>
/// Splits a template into tokens, with Jinja's trim_blocks and lstrip_blocks: a block tag takes the line break after it and the blanks before it away,
/// <c>-</c> takes all white space away, and <c>+</c> keeps it.
/// </summary>
internal sealed class Lexer
{
    private const string Operators = "+-/*%~[](){}=<>!.:|,;";

    private static readonly string[] LongOperators = ["//", "**", "==", "!=", ">=", "<="];

    private readonly string source;
    private readonly List<Token> tokens = [];
    private readonly Stack<char> open = new();
    private int at;
    private int line = 1;
    private bool atLineStart = true;

    private Lexer(string source) => this.source = source;

    /// <exception cref="TemplateException">The template is no Jinja.</exception>
    public static List<Token> Read(string template)
    {
        string source = template.Replace("\r\n", "\n", StringComparison.Ordinal).Replace('\r', '\n');
        Lexer lexer = new(source.EndsWith('\n') ? source[..^1] : source);
        lexer.ReadAll();
        return lexer.tokens;
    }

    private void ReadAll()
    {
        while (at < source.Length)
        {
            int tag = NextTag(at);
            if (tag < 0)
            {
                Add(TokenKind.Data, source[at..]);
                break;
            }

            ReadTag(tag);
        }

        Add(TokenKind.End, "");
    }

    private int NextTag(int from)
    {
        for (int i = source.IndexOf('{', from); i >= 0 && i + 1 < source.Length; i = source.IndexOf('{', i + 1))
        {
            if (source[i + 1] is '{' or '%' or '#')
            {
                return i;
            }
        }

        return -1;
    }

    private void ReadTag(int tag)
    {
        char kind = source[tag + 1];
        char sign = tag + 2 < source.Length && source[tag + 2] is '-' or '+' ? source[tag + 2] : ' ';
        string text = source[at..tag];
        string kept = Before(text, sign, isPrint: kind == '{');
        if (kept.Length > 0)
        {
            tokens.Add(new(TokenKind.Data, kept, line));
        }

        line += text.AsSpan().Count('\n');
        at = tag + (sign == ' ' ? 2 : 3);
        if (kind == '#')
        {
            SkipComment();
        }
        else if (kind == '%' && RawEnd() is var end && end >= 0)
        {
            ReadRaw(end);
        }
        else
        {
            Add(kind == '%' ? TokenKind.BlockBegin : TokenKind.PrintBegin, "");
            ReadCode(kind == '%');
        }
    }

    // What stays of the text before a tag.
    private string Before(string text, char sign, bool isPrint)
    {
        if (sign == '-')
        {
            int end = text.Length;
            while (end > 0 && PythonText.IsSpace(text[end - 1]))
            {
                end--;
            }

            return text[..end];
        }

        int lineStart = text.LastIndexOf('\n') + 1;
        bool isBlank = lineStart < text.Length && text.AsSpan(lineStart).IndexOfAnyExcept(PythonText.Spaces) < 0;
        return sign != '+' && !isPrint && (lineStart > 0 || atLineStart) && isBlank ? text[..lineStart] : text;
    }

    private void SkipComment()
    {
        int end = source.IndexOf("#}", at, StringComparison.Ordinal);
        if (at == source.Length)
        {
            return;
        }

        if (end < 0)
        {
            throw TemplateException.Syntax("a comment does not end", line);
        }

        char sign = end > at && source[end - 1] is '-' or '+' ? source[end - 1] : ' ';
        int from = at;
        at = end + 2;
        After(sign, isBlock: true);
        line += source.AsSpan(from, at - from).Count('\n');
    }

    // Skips what a closing tag takes away behind it.
    private void After(char sign, bool isBlock)
    {
        int from = at;
        if (sign == '-')
        {
            while (at < source.Length && PythonText.IsSpace(source[at]))
            {
                at++;
            }
        }
        else if (sign != '+' && isBlock && at < source.Length && source[at] == '\n')
        {
            at++;
        }

        atLineStart = at > from && source[at - 1] == '\n';
    }

    // Where the text of a raw block begins; -1 where the tag is another one.
    private int RawEnd()
    {
        int i = SkipSpaces(at);
        if (string.CompareOrdinal(source, i, "raw", 0, 3) != 0)
        {
            return -1;
        }

        i = SkipSpaces(i + 3);
        return string.CompareOrdinal(source, i, "-%}", 0, 3) == 0 ? SkipSpaces(i + 3)
            : string.CompareOrdinal(source, i, "%}", 0, 2) == 0 ? i + 2
            : -1;
    }

    private void ReadRaw(int begin)
    {
        line += source.AsSpan(at, begin - at).Count('\n');
        atLineStart = source[begin - 1] == '\n';
        for (int tag = source.IndexOf("{%", begin, StringComparison.Ordinal); tag >= 0; tag = source.IndexOf("{%", tag + 1, StringComparison.Ordinal))
        {
            int i = tag + 2;
            char sign = i < source.Length && source[i] is '-' or '+' ? source[i++] : ' ';
            i = SkipSpaces(i);
            if (string.CompareOrdinal(source, i, "endraw", 0, 6) != 0)
            {
                continue;
            }

            i = SkipSpaces(i + 6);
            char closing = i < source.Length && source[i] is '-' or '+' ? source[i++] : ' ';
            if (string.CompareOrdinal(source, i, "%}", 0, 2) != 0)
            {
                continue;
            }

            string text = source[begin..tag];
            string kept = Before(text, sign, isPrint: false);
            if (kept.Length > 0)
            {
                tokens.Add(new(TokenKind.Data, kept, line));
            }

            at = i + 2;
            After(closing, isBlock: true);
            line += source.AsSpan(begin, at - begin).Count('\n');
            return;
        }

        // Jinja does not mind where nothing follows.
        at = begin == source.Length ? begin : throw TemplateException.Syntax("a raw block does not end", line);
    }

    private int SkipSpaces(int i)
    {
        while (i < source.Length && PythonText.IsSpace(source[i]))
        {
            i++;
        }

        return i;
    }

    private void ReadCode(bool isBlock)
    {
        while (true)
        {
            int next = SkipSpaces(at);
            line += source.AsSpan(at, next - at).Count('\n');
            at = next;
            if (at >= source.Length)
            {
                return;
            }

            if (open.Count == 0 && ReadEnd(isBlock))
            {
                return;
            }

            ReadToken();
        }
    }

    private bool ReadEnd(bool isBlock)
    {
        string end = isBlock ? "%}" : "}}";
        char sign = source[at] is '-' || (source[at] == '+' && isBlock) ? source[at] : ' ';
        int i = sign == ' ' ? at : at + 1;
        if (string.CompareOrdinal(source, i, end, 0, 2) != 0)
        {
            return false;
        }

        Add(isBlock ? TokenKind.BlockEnd : TokenKind.PrintEnd, "");
        int from = at;
        at = i + 2;
        After(sign, isBlock);
        line += source.AsSpan(from, at - from).Count('\n');
        return true;
    }

    private void ReadToken()
    {
        char c = source[at];
        if (char.IsAsciiDigit(c))
        {
            ReadNumber();
        }
        else if (c is '\'' or '"')
        {
            ReadText(c);
        }
        else if (IsNamePart(at))
        {
            ReadName();
        }
        else if (Operators.Contains(c, StringComparison.Ordinal))
        {
            ReadOperator(c);
        }
        else
        {
            throw TemplateException.Syntax($"unexpected character '{c}'", line);
        }
    }

    private void ReadOperator(char c)
    {
        string text = LongOperators.FirstOrDefault(two => string.CompareOrdinal(source, at, two, 0, 2) == 0) ?? c.ToString();
        if (text is "!")
        {
            throw TemplateException.Syntax("unexpected character '!'", line);
        }

        if (c is '(' or '[' or '{')
        {
            open.Push(c switch { '(' => ')', '[' => ']', _ => '}' });
        }
        else if (c is ')' or ']' or '}' && (!open.TryPop(out char expected) || expected != c))
        {
            throw TemplateException.Syntax($"unexpected '{c}'", line);
        }

        Add(TokenKind.Operator, text);
        at += text.Length;
    }

    private bool IsNamePart(int i) => source[i] == '_' || char.IsLetterOrDigit(source[i]) || char.IsSurrogate(source[i])
        || char.GetUnicodeCategory(source[i]) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.ConnectorPunctuation or UnicodeCategory.LetterNumber;

    private void ReadName()
    {
        int from = at;
        while (at < source.Length && IsNamePart(at))
        {
            at++;
        }

        string name = source[from..at];
        if (!PythonText.IsIdentifier(name))
        {
            throw TemplateException.Syntax($"'{name}' is not a name", line);
        }

        tokens.Add(new(TokenKind.Name, name, line));
    }

    private void ReadNumber()
    {
        int from = at;
        if (source[at] == '0' && at + 1 < source.Length && char.ToLowerInvariant(source[at + 1]) is 'x' or 'o' or 'b')
        {
            int radix = char.ToLowerInvariant(source[at + 1]) switch { 'x' => 16, 'o' => 8, _ => 2 };
            int end = Digits(at + 2, radix);
            if (end > at + 2)
            {
                at = end;
                Add(TokenKind.Integer, source[from..end], PythonNumber.ParseInteger(source[(from + 2)..end].Replace("_", "", StringComparison.Ordinal), radix));
                return;
            }
        }

        int whole = Digits(at, 10), fraction = whole;
        if (whole + 1 < source.Length && source[whole] == '.' && char.IsAsciiDigit(source[whole + 1]))
        {
            fraction = Digits(whole + 1, 10);
        }

        int exponent = fraction;
        if (fraction < source.Length && source[fraction] is 'e' or 'E')
        {
            int digits = fraction + 1 < source.Length && source[fraction + 1] is '+' or '-' ? fraction + 2 : fraction + 1;
            int end = digits < source.Length && char.IsAsciiDigit(source[digits]) ? Digits(digits, 10) : digits;
            exponent = end > digits ? end : fraction;
        }

        // A number behind a dot is an index, as in x.0.1.
        bool isIndex = from > 0 && source[from - 1] == '.';
        if (exponent > whole && !isIndex)
        {
            at = exponent;
            Add(TokenKind.Float, source[from..at], double.Parse(source[from..at].Replace("_", "", StringComparison.Ordinal), NumberStyles.Float, CultureInfo.InvariantCulture));
            return;
        }

        // Zeros alone may be many; no other number begins with one.
        int stop = whole;
        if (source[from] == '0')
        {
            stop = from + 1;
            while (stop < whole && (source[stop] == '0' || (source[stop] == '_' && stop + 1 < whole && source[stop + 1] == '0')))
            {
                stop++;
            }
        }

        at = stop;
        Add(TokenKind.Integer, source[from..at], PythonNumber.ParseInteger(source[from..at].Replace("_", "", StringComparison.Ordinal), 10));
    }

    private int Digits(int i, int radix)
    {
        while (i < source.Length && (IsDigit(i) || (source[i] == '_' && i + 1 < source.Length && IsDigit(i + 1))))
        {
            i++;
        }

        return i;

        bool IsDigit(int j) => radix == 16 ? char.IsAsciiHexDigit(source[j]) : source[j] >= '0' && source[j] < '0' + radix;
    }

    private void ReadText(char quote)
    {
        int i = at + 1;
        while (i < source.Length && source[i] != quote)
        {
            i += source[i] == '\\' ? 2 : 1;
        }

        if (i >= source.Length)
        {
            throw TemplateException.Syntax($"unexpected character '{quote}'", line);
        }

        string raw = source[(at + 1)..i];
        tokens.Add(new(TokenKind.Text, raw.Contains('\\', StringComparison.Ordinal) ? Unescape(raw) : raw, line));
        line += raw.AsSpan().Count('\n');
        at = i + 1;
    }

    private string Unescape(string raw)
    {
        StringBuilder text = new(raw.Length);
        for (int i = 0; i < raw.Length; i++)
        {
            if (raw[i] != '\\')
            {
                text.Append(raw[i]);
                continue;
            }

            char c = raw[++i];
            switch (c)
            {
                case '\n':
                    break;
                case '\\' or '\'' or '"':
                    text.Append(c);
                    break;
                case 'a' or 'b' or 'f' or 'n' or 'r' or 't' or 'v':
                    text.Append("\a\b\f\n\r\t\v"["abfnrtv".IndexOf(c, StringComparison.Ordinal)]);
                    break;
                case 'x' or 'u' or 'U':
                    i = Hexadecimal(raw, i, c == 'x' ? 2 : c == 'u' ? 4 : 8, text);
                    break;
                case 'N':
                    throw TemplateException.Unsupported($"the escape \\N in a text (line {line})");
                case >= '0' and <= '7':
                    int value = 0, end = Math.Min(i + 3, raw.Length);
                    for (; i < end && raw[i] is >= '0' and <= '7'; i++)
                    {
                        value = (value * 8) + raw[i] - '0';
                    }

                    i--;
                    text.Append((char)value);
                    break;
                default:
                    // Python writes other characters as escapes before it reads the escapes.
                    i += char.IsHighSurrogate(c) ? 1 : 0;
                    text.Append('\\').Append(char.IsAscii(c) ? c.ToString() : PythonText.Escape(char.ConvertToUtf32(raw, char.IsLowSurrogate(raw[i]) ? i - 1 : i))[1..]);
                    break;
            }
        }

        return text.ToString();
    }

    private int Hexadecimal(string raw, int i, int length, StringBuilder text)
    {
        if (i + length >= raw.Length || !raw.AsSpan(i + 1, length).ToString().All(char.IsAsciiHexDigit))
        {
            throw TemplateException.Syntax($"truncated \\{raw[i]} escape", line);
        }

        int code = int.Parse(raw.AsSpan(i + 1, length), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        if (code is < 0 or > 0x10FFFF)
        {
            throw TemplateException.Syntax("a text holds a character above U+10FFFF", line);
        }

        // Python has texts with halves of characters; none can be written to a client.
        if (code is >= 0xD800 and <= 0xDFFF)
        {
            throw TemplateException.Unsupported($"the half character \\u{code:x4} in a text (line {line})");
        }

        text.Append(char.ConvertFromUtf32(code));
        return i + length;
    }

    private void Add(TokenKind kind, string text, object? number = null) => tokens.Add(new(kind, text, line, number));
}
