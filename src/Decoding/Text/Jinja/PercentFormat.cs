using System.Numerics;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>Python's text % values.</summary>
internal sealed class PercentFormat
{
    private readonly Rendering rendering;
    private readonly string format;
    private readonly object values;
    private readonly bool escapes;
    private readonly StringBuilder text = new();
    private int at;
    private int used;

    private PercentFormat(Rendering rendering, string format, object values, bool escapes) =>
        (this.rendering, this.format, this.values, this.escapes) = (rendering, format, values, escapes);

    /// <param name="escapes">Whether values are escaped for HTML.</param>
    public static string Format(Rendering rendering, string format, object values, bool escapes = false) =>
        new PercentFormat(rendering, format, values, escapes).Run();

    private string Run()
    {
        while (at < format.Length)
        {
            int percent = format.IndexOf('%', at);
            if (percent < 0)
            {
                percent = format.Length;
            }

            rendering.BuildText(percent - at);
            text.Append(format, at, percent - at);
            at = percent + 1;
            if (percent < format.Length)
            {
                rendering.Step();
                WriteOne();
            }
        }

        bool usesAll = values switch
        {
            TupleValue tuple => used >= tuple.Items.Length,
            DictValue or ListValue or RangeValue or BytesValue or NamespaceValue or BlockNames or Undefined => true,
            _ => used > 0,
        };
        return usesAll ? text.ToString() : throw TemplateException.Failed("not all arguments converted during string formatting");
    }

    private void WriteOne()
    {
        if (at < format.Length && format[at] == '%')
        {
            at++;
            text.Append('%');
            return;
        }

        object? named = Key();
        string flags = "";
        while (at < format.Length && "-+ #0".Contains(format[at], StringComparison.Ordinal))
        {
            flags += format[at++];
        }

        int width = Number() ?? 0;
        if (width < 0)
        {
            (flags, width) = (flags + "-", -width);
        }

        int? precision = null;
        if (at < format.Length && format[at] == '.')
        {
            at++;
            precision = Math.Max(0, Number() ?? 0);
        }

        while (at < format.Length && format[at] is 'l' or 'h' or 'L')
        {
            at++;
        }

        if (at >= format.Length)
        {
            throw TemplateException.Failed("incomplete format");
        }

        char kind = format[at++];
        rendering.BuildText(Math.Max((double)width, precision ?? 0));
        string part = Convert(kind, flags, precision, named ?? Next());
        int padding = width - PythonText.Length(part);
        bool isNumber = kind is not ('s' or 'r' or 'a' or 'c');
        if (padding > 0 && !flags.Contains('-', StringComparison.Ordinal) && isNumber && flags.Contains('0', StringComparison.Ordinal) && part.Any(char.IsAsciiDigit))
        {
            int sign = part[0] is '+' or '-' or ' ' ? 1 : 0;
            int prefix = sign + (part.Length > sign + 1 && part[sign] == '0' && part[sign + 1] is 'x' or 'X' or 'o' ? 2 : 0);
            part = part.Insert(prefix, new string('0', padding));
        }
        else if (padding > 0)
        {
            part = flags.Contains('-', StringComparison.Ordinal) ? part + new string(' ', padding) : new string(' ', padding) + part;
        }

        rendering.BuildText(part.Length);
        text.Append(part);
    }

    private object? Key()
    {
        if (at >= format.Length || format[at] != '(')
        {
            return null;
        }

        int from = ++at;
        for (int open = 1; open > 0; at++)
        {
            if (at >= format.Length)
            {
                throw TemplateException.Failed("incomplete format key");
            }

            open += format[at] switch { '(' => 1, ')' => -1, _ => 0 };
        }

        string key = format[from..(at - 1)];
        Operators.Refuse(values);
        if (values is not DictValue dict)
        {
            throw TemplateException.Failed("format requires a mapping");
        }

        used++;
        return dict.Find(key) ?? throw TemplateException.Failed($"KeyError: '{key}'");
    }

    private int? Number()
    {
        if (at < format.Length && format[at] == '*')
        {
            at++;
            return Operators.AsInteger(Next()) is { } given ? Operators.Index(given) : throw TemplateException.Failed("* wants int");
        }

        int from = at;
        while (at < format.Length && char.IsAsciiDigit(format[at]))
        {
            at++;
        }

        return at > from ? Operators.Index(PythonNumber.ParseInteger(format[from..at], 10)) : null;
    }

    private object Next()
    {
        if (values is TupleValue tuple)
        {
            return used < tuple.Items.Length ? tuple.Items[used++] : throw TemplateException.Failed("not enough arguments for format string");
        }

        return used++ == 0 ? values : throw TemplateException.Failed("not enough arguments for format string");
    }

    private string Convert(char kind, string flags, int? precision, object value)
    {
        switch (kind)
        {
            case 's' or 'r' or 'a':
                string shown = kind == 's' ? Printing.Text(rendering, value) : kind == 'r' ? Printing.Representation(rendering, value) : Printing.AsciiRepresentation(rendering, value);
                shown = escapes && !(kind == 's' && value is Markup) ? Html.Escape(rendering, shown) : shown;
                return precision < PythonText.Length(shown) ? shown[..PythonText.Unit(shown, precision.Value)] : shown;
            case 'c':
                return Operators.AsInteger(value) is { } code && code >= 0 && code < 0x110000 ? PythonText.Character((int)code)
                    : Operators.AsText(value) is { } one && PythonText.Length(one) == 1 ? one
                    : throw TemplateException.Failed("%c requires int or char");
            case 'd' or 'i' or 'u':
                Operators.Refuse(value);
                return Whole(PythonNumber.Text(Operators.AsInteger(value) ?? (value is double number ? Filters.Truncate(number) : throw NotANumber(kind, value))), flags, precision, "");
            case 'x' or 'X' or 'o':
                Operators.Refuse(value);
                BigInteger integer = Operators.AsInteger(value) ?? throw TemplateException.Failed($"%{kind} format: an integer is required, not {Printing.TypeName(value)}");
                string digits = PythonNumber.InRadix(integer, kind == 'o' ? 8 : 16);
                string prefix = flags.Contains('#', StringComparison.Ordinal) ? $"0{kind}" : "";
                return Whole((integer.Sign < 0 ? "-" : "") + (kind == 'X' ? digits.ToUpperInvariant() : digits), flags, precision, prefix);
            case 'e' or 'E' or 'f' or 'F' or 'g' or 'G':
                Operators.Refuse(value);
                double real = Operators.AsDouble(value) ?? throw NotANumber(kind, value);
                return Sign(NumberFormat.Real(char.ToLowerInvariant(kind), real, precision ?? 6, flags.Contains('#', StringComparison.Ordinal)) is var plain && char.IsAsciiLetterUpper(kind) ? plain.ToUpperInvariant() : plain, flags);
            default:
                throw TemplateException.Failed($"unsupported format character '{kind}'");
        }
    }

    private static TemplateException NotANumber(char kind, object value) => TemplateException.Failed($"%{kind} format: a real number is required, not {Printing.TypeName(value)}");

    private static string Whole(string number, string flags, int? precision, string prefix)
    {
        bool isNegative = number[0] == '-';
        string digits = (isNegative ? number[1..] : number).PadLeft(precision ?? 0, '0');
        return Sign((isNegative ? "-" : "") + prefix + digits, flags);
    }

    private static string Sign(string number, string flags) => number[0] == '-' ? number
        : flags.Contains('+', StringComparison.Ordinal) ? "+" + number
        : flags.Contains(' ', StringComparison.Ordinal) ? " " + number
        : number;
}

/// <summary>Floats with a number of digits.</summary>
internal static class NumberFormat
{
    /// <summary>%f, %e and %g.</summary>
    /// <param name="keepsPoint">Whether a point stands even before no decimals, and %g keeps zeros.</param>
    public static string Real(char kind, double value, int precision, bool keepsPoint)
    {
        if (!double.IsFinite(value))
        {
            return PythonNumber.Text(value);
        }

        if (precision > 4000)
        {
            throw TemplateException.Limit("formats a number with more than 4000 decimals");
        }

        string text = kind switch
        {
            'f' => PythonNumber.Fixed(value, precision),
            'e' => PythonNumber.Exponential(value, precision),
            _ => PythonNumber.General(value, precision, keepsPoint),
        };
        if (!keepsPoint || text.Contains('.', StringComparison.Ordinal))
        {
            return text;
        }

        int exponent = text.IndexOf('e', StringComparison.Ordinal);
        return exponent < 0 ? text + "." : text.Insert(exponent, ".");
    }
}
