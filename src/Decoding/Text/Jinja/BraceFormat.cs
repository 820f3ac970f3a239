using System.Numerics;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>Python's "{}".format(...), whose fields reach attributes only as the sandbox allows.</summary>
internal sealed class BraceFormat(Rendering rendering, IReadOnlyList<object> positional, Func<string, object?> named, bool escapes)
{
    private int next;
    private bool isNumbered;

    public string Format(string format, int depth = 2)
    {
        if (depth < 0)
        {
            throw TemplateException.Failed("Max string recursion exceeded");
        }

        StringBuilder text = new();
        for (int at = 0; at < format.Length; at++)
        {
            char c = format[at];
            if (c is '{' or '}' && at + 1 < format.Length && format[at + 1] == c)
            {
                text.Append(c);
                at++;
            }
            else if (c == '}')
            {
                throw TemplateException.Failed("Single '}' encountered in format string");
            }
            else if (c == '{')
            {
                int end = End(format, at);
                rendering.Step();
                string field = Field(format[(at + 1)..end], depth);
                rendering.BuildText(field.Length);
                text.Append(field);
                at = end;
            }
            else
            {
                text.Append(c);
            }
        }

        rendering.BuildText(text.Length);
        return text.ToString();
    }

    private static int End(string format, int begin)
    {
        int open = 0;
        for (int i = begin; i < format.Length; i++)
        {
            open += format[i] switch { '{' => 1, '}' => -1, _ => 0 };
            if (open == 0)
            {
                return i;
            }

            // A bracket of the field's name may hold braces.
            if (format[i] == '[' && open == 1 && !format.AsSpan(begin, i - begin).ContainsAny(':', '!'))
            {
                int close = format.IndexOf(']', i);
                i = close < 0 ? i : close;
            }
        }

        throw TemplateException.Failed("expected '}' before end of string");
    }

    private string Field(string field, int depth)
    {
        int end = 0;
        for (bool inBracket = false; end < field.Length && (inBracket || field[end] is not (':' or '!')); end++)
        {
            inBracket = field[end] == '[' || (inBracket && field[end] != ']');
        }

        string name = field[..end], rest = field[end..];
        if (name.Contains('{', StringComparison.Ordinal))
        {
            throw TemplateException.Failed("unexpected '{' in field name");
        }

        char conversion = ' ';
        if (rest.StartsWith('!'))
        {
            if (rest.Length < 2 || (rest.Length > 2 && rest[2] != ':'))
            {
                throw TemplateException.Failed("expected ':' after conversion specifier");
            }

            (conversion, rest) = (rest[1], rest[2..]);
        }

        object value = Value(name);
        value = conversion switch
        {
            ' ' => value,
            's' => Printing.Text(rendering, value),
            'r' => Printing.Representation(rendering, value),
            'a' => Printing.AsciiRepresentation(rendering, value),
            _ => throw TemplateException.Failed($"Unknown conversion specifier {conversion}"),
        };
        string spec = rest.Length > 1 ? rest[1..] : "";
        spec = spec.AsSpan().ContainsAny('{', '}') ? Format(spec, depth - 1) : spec;
        if (!escapes)
        {
            return FormatSpec.Format(rendering, value, spec);
        }

        return value is Markup safe ? spec.Length == 0 ? safe.Text : throw TemplateException.Failed("Unsupported format specification for Markup.")
            : Html.Escape(rendering, FormatSpec.Format(rendering, value, spec));
    }

    private object Value(string name)
    {
        int end = name.AsSpan().IndexOfAny('.', '[');
        string first = end < 0 ? name : name[..end];
        object value = First(first);
        for (int at = end < 0 ? name.Length : end; at < name.Length;)
        {
            if (name[at] == '.')
            {
                int stop = name.AsSpan(at + 1).IndexOfAny('.', '[') is var length && length < 0 ? name.Length : at + 1 + length;
                value = stop > at + 1 ? Operators.Attribute(rendering, value, name[(at + 1)..stop]) : throw TemplateException.Failed("Empty attribute in format string");
                at = stop;
            }
            else if (name[at] == '[' && name.IndexOf(']', at) is var close && close > at + 1)
            {
                string key = name[(at + 1)..close];
                value = Operators.Item(rendering, value, key.All(char.IsAsciiDigit) ? PythonNumber.ParseInteger(key, 10) : key);
                at = close + 1;
            }
            else
            {
                throw TemplateException.Failed("Only '.' or '[' may follow ']' in format field specifier");
            }
        }

        return value;
    }

    private object First(string name)
    {
        if (name.Length == 0)
        {
            return isNumbered ? throw TemplateException.Failed("cannot switch from manual field specification to automatic field numbering") : At(next++);
        }

        if (!name.All(char.IsAsciiDigit))
        {
            return named(name) ?? throw TemplateException.Failed($"KeyError: '{name}'");
        }

        isNumbered = next == 0 ? true : throw TemplateException.Failed("cannot switch from manual field specification to automatic field numbering");
        return At(Operators.Index(PythonNumber.ParseInteger(name, 10)));

        object At(int index) => index < positional.Count ? positional[index] : throw TemplateException.Failed("Replacement index out of range for positional args tuple");
    }
}

/// <summary>Python's format(value, spec): fill, alignment, sign, width, grouping, precision, type.</summary>
internal static class FormatSpec
{
    public static string Format(Rendering rendering, object value, string spec)
    {
        if (spec.Length == 0)
        {
            return Printing.Text(rendering, value);
        }

        if (value is not (string or Markup or bool or BigInteger or double))
        {
            throw TemplateException.Failed($"unsupported format string passed to {Printing.TypeName(value)}.__format__");
        }

        Parts parts = Parse(spec);
        rendering.BuildText(Math.Max((double)parts.Width, parts.Precision ?? 0));
        string text = value is string or Markup ? OfText(Operators.AsText(value)!, parts) : OfNumber(value, parts);
        return text;
    }

    private static Parts Parse(string spec)
    {
        int[] c = PythonText.Characters(spec);
        int at = 0;
        string fill = " ";
        char align = '\0';
        bool hasFill = false;
        if (c.Length > 1 && c[1] is '<' or '>' or '=' or '^')
        {
            (fill, align, at, hasFill) = (PythonText.Character(c[0]), (char)c[1], 2, true);
        }
        else if (c[0] is '<' or '>' or '=' or '^')
        {
            (align, at) = ((char)c[0], 1);
        }

        char sign = at < c.Length && c[at] is '+' or '-' or ' ' ? (char)c[at++] : '\0';
        bool noNegativeZero = at < c.Length && c[at] == 'z';
        at += noNegativeZero ? 1 : 0;
        bool isAlternate = at < c.Length && c[at] == '#';
        at += isAlternate ? 1 : 0;
        if (at < c.Length && c[at] == '0')
        {
            at++;
            fill = hasFill ? fill : "0";
            align = align == '\0' ? '=' : align;
        }

        int width = Number() ?? 0;
        char grouping = at < c.Length && c[at] is ',' or '_' ? (char)c[at++] : '\0';
        int? precision = null;
        if (at < c.Length && c[at] == '.')
        {
            at++;
            precision = Number() ?? throw TemplateException.Failed("Format specifier missing precision");
        }

        char type = at < c.Length && c[at] < 128 ? (char)c[at++] : '\0';
        return at == c.Length && !noNegativeZero ? new(fill, align, sign, isAlternate, width, grouping, precision, type)
            : noNegativeZero ? throw TemplateException.Unsupported("the format option z") : throw TemplateException.Failed("Invalid format specifier");

        int? Number()
        {
            int from = at;
            while (at < c.Length && c[at] is >= '0' and <= '9')
            {
                at++;
            }

            return at > from ? Operators.Index(PythonNumber.ParseInteger(PythonText.Join(c[from..at]), 10)) : null;
        }
    }

    private static string OfText(string text, Parts parts)
    {
        if (parts.Type is not ('\0' or 's') || parts.Sign != '\0' || parts.IsAlternate || parts.Grouping != '\0' || (parts.Align == '=' && parts.Fill != "0"))
        {
            throw TemplateException.Failed("Invalid format specifier for object of type 'str'");
        }

        string cut = parts.Precision < PythonText.Length(text) ? text[..PythonText.Unit(text, parts.Precision.Value)] : text;
        return Pad(cut, "", parts, parts.Align is '\0' or '=' ? '<' : parts.Align);
    }

    private static string OfNumber(object value, Parts parts)
    {
        if (parts.Type == '\0' && value is bool && parts is { Precision: null })
        {
            parts = parts with { Type = 'd' };
        }

        bool isWhole = value is not double && parts.Type is '\0' or 'd' or 'b' or 'o' or 'x' or 'X' or 'c' or 'n';
        (string digits, bool isNegative, string prefix) = isWhole ? Whole((BigInteger)Operators.AsInteger(value)!, parts) : Real(value, parts);
        string sign = isNegative ? "-" : parts.Sign is '-' or '\0' ? "" : parts.Sign.ToString();
        char align = parts.Align == '\0' ? '>' : parts.Align;
        if (parts.Grouping != '\0')
        {
            digits = Group(digits, parts, align == '=' && parts.Fill == "0" ? parts.Width - sign.Length - prefix.Length : 0);
        }

        return align == '=' ? Pad(digits, sign + prefix, parts, '=') : Pad(sign + prefix + digits, "", parts, align);
    }

    private static (string Digits, bool IsNegative, string Prefix) Whole(BigInteger value, Parts parts)
    {
        if (parts.Precision is not null || (parts.Type == 'c' && (parts.Sign != '\0' || parts.Grouping != '\0' || value.Sign < 0 || value > 0x10FFFF)))
        {
            throw TemplateException.Failed("Precision not allowed in integer format specifier");
        }

        (int radix, string prefix) = parts.Type switch { 'b' => (2, "0b"), 'o' => (8, "0o"), 'x' => (16, "0x"), 'X' => (16, "0X"), _ => (10, "") };
        if (parts.Grouping == ',' && radix != 10)
        {
            throw TemplateException.Failed($"Cannot specify ',' with '{parts.Type}'.");
        }

        string digits = parts.Type == 'c' ? PythonText.Character(Operators.Index(value)) : radix == 10 ? PythonNumber.Text(BigInteger.Abs(value)) : PythonNumber.InRadix(value, radix);
        return (parts.Type == 'X' ? digits.ToUpperInvariant() : digits, value.Sign < 0, parts.IsAlternate ? prefix : "");
    }

    private static (string Digits, bool IsNegative, string Prefix) Real(object value, Parts parts)
    {
        double number = Operators.AsDouble(value)!.Value;
        bool isNegative = double.IsNegative(number) && !double.IsNaN(number);
        double magnitude = Math.Abs(number);
        string digits = parts.Type switch
        {
            '\0' when !double.IsFinite(magnitude) => PythonNumber.Text(magnitude),
            '\0' => parts.Precision is { } precision ? PythonNumber.General(magnitude, precision, keepZeros: parts.IsAlternate, atLeastOneDecimal: true) : PythonNumber.Text(magnitude),
            '%' when !double.IsFinite(magnitude) => PythonNumber.Text(magnitude) + "%",
            '%' => NumberFormat.Real('f', magnitude * 100, parts.Precision ?? 6, parts.IsAlternate) + "%",
            'f' or 'F' or 'e' or 'E' or 'g' or 'G' => NumberFormat.Real(char.ToLowerInvariant(parts.Type), magnitude, parts.Precision ?? 6, parts.IsAlternate),
            'n' => NumberFormat.Real('g', magnitude, parts.Precision ?? 6, parts.IsAlternate),
            _ => throw TemplateException.Failed($"Unknown format code '{parts.Type}' for object of type '{Printing.TypeName(value)}'"),
        };
        return (char.IsAsciiLetterUpper(parts.Type) ? digits.ToUpperInvariant() : digits, isNegative, "");
    }

    // Separators in the whole part; zeros in front up to a width get them too.
    private static string Group(string digits, Parts parts, int width)
    {
        if (parts.Type == 'n' || !char.IsAsciiLetterOrDigit(digits[0]))
        {
            throw TemplateException.Failed($"Cannot specify '{parts.Grouping}' with '{parts.Type}'.");
        }

        int size = parts.Type is 'b' or 'o' or 'x' or 'X' ? 4 : 3;
        int point = parts.Type is 'x' or 'X' ? -1 : digits.AsSpan().IndexOfAny('.', 'e', '%');
        string whole = point < 0 ? digits : digits[..point], rest = point < 0 ? "" : digits[point..];
        while (whole.Length + ((whole.Length - 1) / size) + rest.Length < width)
        {
            whole = "0" + whole;
            if (whole.Length + ((whole.Length - 1) / size) + rest.Length > width && (whole.Length - 1) % size == 0)
            {
                break;
            }
        }

        StringBuilder grouped = new();
        for (int i = 0; i < whole.Length; i++)
        {
            if (i > 0 && (whole.Length - i) % size == 0)
            {
                grouped.Append(parts.Grouping);
            }

            grouped.Append(whole[i]);
        }

        return grouped.Append(rest).ToString();
    }

    private static string Pad(string text, string front, Parts parts, char align)
    {
        int missing = Math.Max(0, parts.Width - PythonText.Length(text) - front.Length);
        int left = align switch { '<' => 0, '^' => missing / 2, _ => missing };
        return front + Fill(left) + text + Fill(missing - left);

        string Fill(int count) => parts.Fill.Length == 1 ? new string(parts.Fill[0], count) : string.Concat(Enumerable.Repeat(parts.Fill, count));
    }

    private sealed record Parts(string Fill, char Align, char Sign, bool IsAlternate, int Width, char Grouping, int? Precision, char Type);
}
