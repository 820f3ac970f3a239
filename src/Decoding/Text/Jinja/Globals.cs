using System.Globalization;
using System.Numerics;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>The functions that every template finds.</summary>
internal static class Globals
{
    public static IReadOnlyDictionary<string, object> All { get; } = new Dictionary<string, object>
    {
        ["range"] = new Function("range", Range),
        ["dict"] = new Function("dict", (rendering, arguments) => Dict(rendering, arguments), "<class 'dict'>"),
        ["namespace"] = new Function("namespace", Namespace),
        ["cycler"] = new Function("cycler", (_, arguments) => arguments.Named.Count == 0 && arguments.Positional.Count > 0 ? new Cycler(arguments.Positional) : throw TemplateException.Failed("at least one item has to be provided"), "<class 'jinja2.utils.Cycler'>"),
        ["joiner"] = new Function("joiner", (_, arguments) => new Joiner(arguments.Bind("joiner", "sep?")[0] ?? ", "), "<class 'jinja2.utils.Joiner'>"),
        ["lipsum"] = new Function("lipsum", (_, _) => throw TemplateException.Unsupported("lipsum, which gives random text,")),
        ["raise_exception"] = new Function("raise_exception", (rendering, arguments) => throw new TemplateException(TemplateFault.Raised, Printing.Text(rendering, arguments.Bind("raise_exception", "message")[0]!))),
        ["strftime_now"] = new Function("strftime_now", (rendering, arguments) => Now(rendering, arguments.Bind("strftime_now", "format")[0]!)),
    };

    /// <exception cref="TemplateException">The name begins with an underscore.</exception>
    public static void CheckNamespace(string name)
    {
        if (name.StartsWith('_'))
        {
            throw TemplateException.Failed($"a namespace cannot hold '{name}', which begins with an underscore");
        }
    }

    private static object Range(Rendering rendering, Arguments arguments)
    {
        List<object> given = arguments.Only("range", 1, 3);
        BigInteger start = given.Count > 1 ? Operators.Integer(given[0]) : 0, stop = Operators.Integer(given[given.Count > 1 ? 1 : 0]), step = given.Count > 2 ? Operators.Integer(given[2]) : 1;
        if (step.IsZero)
        {
            throw TemplateException.Failed("range() arg 3 must not be zero");
        }

        RangeValue range = new(start, stop, step);
        return range.Length <= RangeValue.MaxLength ? range : throw TemplateException.Limit($"makes a range longer than {RangeValue.MaxLength}");
    }

    private static DictValue Dict(Rendering rendering, Arguments arguments)
    {
        DictValue dict = new();
        if (arguments.Positional.Count > 1)
        {
            throw TemplateException.Failed($"dict expected at most 1 argument, got {arguments.Positional.Count}");
        }

        if (arguments.Positional.FirstOrDefault() is { } from)
        {
            Operators.Refuse(from is Undefined ? new ListValue([]) : from);
            if (from is DictValue other)
            {
                dict.SetAll(other);
            }
            else
            {
                foreach (object pair in Operators.Counted(rendering, Operators.Iterate(from)))
                {
                    List<object> parts = Operators.ListOf(rendering, pair);
                    dict.Set(parts.Count == 2 ? parts[0] : throw TemplateException.Failed("dictionary update sequence element has not 2 elements"), parts[1]);
                }
            }
        }

        foreach ((string name, object value) in arguments.Named)
        {
            dict.Set(name, value);
        }

        return dict;
    }

    private static NamespaceValue Namespace(Rendering rendering, Arguments arguments)
    {
        DictValue attributes = Dict(rendering, arguments);
        foreach (object name in attributes.Items.Keys)
        {
            CheckNamespace(Operators.AsText(name) ?? "");
        }

        return new(attributes);
    }

    private static string Now(Rendering rendering, object format)
    {
        string text = Operators.AsText(format) ?? throw TemplateException.Failed("strftime() argument 1 must be str");
        rendering.BuildText(text.Length * 12.0);
        rendering.Step(text.Length);
        return TimeFormat.Format(rendering.Clock.GetLocalNow().DateTime, text);
    }
}

/// <summary>strftime in the C locale, without a time zone.</summary>
internal static class TimeFormat
{
    public static string Format(DateTime time, string format)
    {
        StringBuilder text = new();
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                text.Append(format[i]);
                continue;
            }

            int from = i++;
            char flag = format[i] is '-' or '_' or '0' or '^' or '#' ? format[i++] : ' ';
            int width = 0;
            for (; i < format.Length && char.IsAsciiDigit(format[i]) && width < 100; i++)
            {
                width = (width * 10) + format[i] - '0';
            }

            if (i < format.Length && format[i] is 'E' or 'O')
            {
                i++;
            }

            string? part = i < format.Length ? Part(time, format[i]) : null;
            text.Append(part is null ? format[from..Math.Min(i + 1, format.Length)] : Flagged(part, flag, format[i], width));
        }

        return text.ToString();
    }

    private static string Flagged(string part, char flag, char kind, int width)
    {
        bool isNumber = part.Length > 0 && part.All(c => char.IsAsciiDigit(c) || c == ' ');
        string changed = flag switch
        {
            '-' when isNumber => part.TrimStart('0', ' ') is { Length: > 0 } number ? number : "0",
            '_' when isNumber => Blank(part),
            '0' when isNumber => part.Replace(' ', '0'),
            '^' => part.ToUpperInvariant(),
            '#' => kind == 'p' ? part.ToLowerInvariant() : kind is 'a' or 'A' or 'b' or 'B' or 'h' ? part.ToUpperInvariant() : part,
            _ => part,
        };
        return isNumber && flag is not ('_' or '-') ? (width > changed.Length ? changed.Replace(' ', '0').PadLeft(width, '0') : changed) : changed.PadLeft(flag == '-' ? 0 : width);

        static string Blank(string digits) => digits.TrimStart('0') is { Length: > 0 } number ? number.PadLeft(digits.Length) : "0".PadLeft(digits.Length);
    }

    private static string? Part(DateTime time, char kind)
    {
        return kind switch
        {
            'a' => Name("ddd"),
            'A' => Name("dddd"),
            'b' or 'h' => Name("MMM"),
            'B' => Name("MMMM"),
            'c' => $"{Name("ddd MMM")} {time.Day,2} {Name("HH:mm:ss yyyy")}",
            'C' => $"{time.Year / 100:00}",
            'd' => $"{time.Day:00}",
            'D' or 'x' => Name("MM/dd/yy"),
            'e' => $"{time.Day,2}",
            'f' => $"{time.Ticks / 10 % 1_000_000:000000}",
            'F' => $"{time.Year}-{Name("MM-dd")}",
            'g' => $"{ISOWeek.GetYear(time) % 100:00}",
            'G' => $"{ISOWeek.GetYear(time)}",
            'H' => $"{time.Hour:00}",
            'I' => $"{Hour12(time):00}",
            'j' => $"{time.DayOfYear:000}",
            'k' => $"{time.Hour,2}",
            'l' => $"{Hour12(time),2}",
            'm' => $"{time.Month:00}",
            'M' => $"{time.Minute:00}",
            'n' => "\n",
            'p' => time.Hour < 12 ? "AM" : "PM",
            'P' => time.Hour < 12 ? "am" : "pm",
            'r' => $"{Hour12(time):00}{Name(":mm:ss")} {(time.Hour < 12 ? "AM" : "PM")}",
            'R' => Name("HH:mm"),
            's' => $"{new DateTimeOffset(time).ToUnixTimeSeconds()}",
            'S' => $"{time.Second:00}",
            't' => "\t",
            'T' or 'X' => Name("HH:mm:ss"),
            'u' => $"{((int)time.DayOfWeek + 6) % 7 + 1}",
            'U' => $"{(time.DayOfYear + 6 - (int)time.DayOfWeek) / 7:00}",
            'V' => $"{ISOWeek.GetWeekOfYear(time):00}",
            'w' => $"{(int)time.DayOfWeek}",
            'W' => $"{(time.DayOfYear + 6 - (((int)time.DayOfWeek + 6) % 7)) / 7:00}",
            'y' => $"{time.Year % 100:00}",
            'Y' => $"{time.Year}",
            'z' or 'Z' => "",
            '%' => "%",
            '+' => null,
            _ => null,
        };

        string Name(string format) => time.ToString(format, CultureInfo.InvariantCulture);
    }

    private static int Hour12(DateTime time) => time.Hour % 12 == 0 ? 12 : time.Hour % 12;
}
