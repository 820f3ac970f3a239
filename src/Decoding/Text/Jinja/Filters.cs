using System.Numerics;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>What a filter does with a value.</summary>
internal delegate object Filter(Rendering rendering, object value, Arguments arguments);

/// <summary>Jinja's filters: those for numbers and texts. The others stand in Filters of sequences.</summary>
internal static partial class Filters
{
    /// <summary>Filters of Jinja that are refused when a template is parsed.</summary>
    public static readonly HashSet<string> Unsupported = ["random"];

    private static readonly Dictionary<string, Filter> All = new()
    {
        ["abs"] = (_, value, a) => Absolute(value, a),
        ["attr"] = (r, value, a) => Name(a.Bind("attr", "name")[0]!) is var name && Attributes.Find(r, value, name) is { } found ? found : Undefined.Of(value, name),
        ["capitalize"] = (r, value, a) => Method(r, value, "capitalize", a),
        ["center"] = (r, value, a) => Keep(value, Strings.Justify(r, Text(r, value), a.Bind("center", "width?")[0] is { } width ? Operators.Integer(width) : 80, " ", 'c')),
        ["default"] = Default,
        ["d"] = Default,
        ["escape"] = (r, value, a) => a.Only("escape", 0, 0) is null ? value : new Markup(Html.Escaped(r, value)),
        ["e"] = (r, value, a) => a.Only("escape", 0, 0) is null ? value : new Markup(Html.Escaped(r, value)),
        ["filesizeformat"] = (r, value, a) => FileSize(r, value, a.Bind("filesizeformat", "binary?")[0] is { } binary && Operators.IsTrue(binary)),
        ["float"] = (r, value, a) => a.Bind("float", "default?")[0] is var other ? Number(r, value) ?? other ?? 0.0 : value,
        ["forceescape"] = (r, value, a) => new Markup(Html.Escape(r, Printing.Text(r, value))),
        ["format"] = Format,
        ["indent"] = Indent,
        ["int"] = Integer,
        ["lower"] = (r, value, a) => Method(r, value, "lower", a),
        ["pprint"] = PrettyPrint,
        ["replace"] = Replace,
        ["round"] = Round,
        ["safe"] = (r, value, a) => a.Only("safe", 0, 0) is null ? value : new Markup(Printing.Text(r, value)),
        ["string"] = (r, value, a) => a.Only("string", 0, 0) is not null && value is Markup ? value : Printing.Text(r, value),
        ["striptags"] = (r, value, a) => a.Only("striptags", 0, 0) is null ? value : HtmlText.StripTags(r, Printing.Text(r, value)),
        ["title"] = (r, value, a) => a.Only("title", 0, 0) is null ? value : Title(r, Text(r, value)),
        ["tojson"] = ToJson,
        ["trim"] = (r, value, a) => Keep(value, Strings.Strip(Text(r, value), a.Bind("trim", "chars?")[0], true, true)),
        ["truncate"] = Truncate,
        ["upper"] = (r, value, a) => Method(r, value, "upper", a),
        ["urlencode"] = (r, value, a) => a.Only("urlencode", 0, 0) is null ? value : HtmlText.UrlEncode(r, value),
        ["urlize"] = HtmlText.Urlize,
        ["wordcount"] = (r, value, a) => a.Only("wordcount", 0, 0) is null ? value : WordCount(r, Text(r, value)),
        ["wordwrap"] = WordWrap.Wrap,
        ["xmlattr"] = HtmlText.XmlAttributes,
        ["batch"] = Batch,
        ["count"] = Length,
        ["length"] = Length,
        ["dictsort"] = DictSort,
        ["first"] = (r, value, a) => a.Only("first", 0, 0) is null ? value : Operators.Iterate(value).FirstOrDefault() ?? new Undefined("No first item, sequence was empty."),
        ["groupby"] = GroupBy,
        ["items"] = (r, value, a) => a.Only("items", 0, 0) is null ? value : Items(value),
        ["join"] = Join,
        ["last"] = (r, value, a) => a.Only("last", 0, 0) is null ? value : Reversed(r, value, mayList: false).FirstOrDefault() ?? new Undefined("No last item, sequence was empty."),
        ["list"] = (r, value, a) => a.Only("list", 0, 0) is null ? value : new ListValue(Operators.ListOf(r, value)),
        ["map"] = (r, value, a) => new IteratorValue(Map(r, value, a)),
        ["max"] = (r, value, a) => Extreme(r, value, a, ">"),
        ["min"] = (r, value, a) => Extreme(r, value, a, "<"),
        ["reject"] = (r, value, a) => new IteratorValue(Select(r, value, a, wanted: false, byAttribute: false)),
        ["rejectattr"] = (r, value, a) => new IteratorValue(Select(r, value, a, wanted: false, byAttribute: true)),
        ["select"] = (r, value, a) => new IteratorValue(Select(r, value, a, wanted: true, byAttribute: false)),
        ["selectattr"] = (r, value, a) => new IteratorValue(Select(r, value, a, wanted: true, byAttribute: true)),
        ["reverse"] = Reverse,
        ["slice"] = Slice,
        ["sort"] = Sort,
        ["sum"] = Sum,
        ["unique"] = (r, value, a) => a.Bind("unique", "case_sensitive?", "attribute?") is var given ? new IteratorValue(Unique(r, value, Getter(r, given[1], IsSet(given[0])))) : value,
    };

    public static Filter? Find(string name) => All.GetValueOrDefault(name);

    /// <exception cref="TemplateException">No such filter.</exception>
    public static Filter Get(string name) => Find(name) ?? throw (Unsupported.Contains(name) ? TemplateException.Unsupported($"the filter {name}") : TemplateException.Failed($"No filter named '{name}' found."));

    /// <summary>int(number).</summary>
    public static BigInteger Truncate(double number) => double.IsFinite(number) ? new BigInteger(number) : throw TemplateException.Failed($"cannot convert float {PythonNumber.Text(number)} to integer");

    private static string Text(Rendering rendering, object value)
    {
        string text = Printing.Text(rendering, value);
        rendering.Step(text.Length >> 6);
        return text;
    }

    private static object Keep(object value, string text) => value is Markup ? new Markup(text) : text;

    private static bool IsSet(object? flag) => flag is not null && Operators.IsTrue(flag);

    private static string Name(object value) => Operators.AsText(value) ?? throw TemplateException.Failed("attribute name must be string");

    private static object Method(Rendering rendering, object value, string name, Arguments arguments) =>
        Strings.Find(value is Markup ? value : Printing.Text(rendering, value), name)!.Call(rendering, arguments);

    private static object Absolute(object value, Arguments arguments)
    {
        arguments.Only("abs", 0, 0);
        Operators.Refuse(value);
        return value is double number ? Math.Abs(number) : Operators.AsInteger(value) is { } integer ? BigInteger.Abs(integer)
            : throw TemplateException.Failed($"bad operand type for abs(): '{Printing.TypeName(value)}'");
    }

    private static object Default(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("default", "default_value?", "boolean?");
        return value is Undefined || (IsSet(given[1]) && !Operators.IsTrue(value)) ? given[0] ?? "" : value;
    }

    private static object FileSize(Rendering rendering, object value, bool binary)
    {
        double bytes = Number(rendering, value) as double? ?? throw TemplateException.Failed("could not convert the size to a number");
        double unit = binary ? 1024 : 1000;
        if (bytes == 1)
        {
            return "1 Byte";
        }

        if (bytes < unit)
        {
            return $"{PythonNumber.Text(Truncate(bytes))} Bytes";
        }

        string prefixes = "kMGTPEZY";
        BigInteger power = (BigInteger)unit;
        for (int i = 0; ; i++)
        {
            power *= (BigInteger)unit;
            double size = PythonNumber.ToDouble(power);
            if (bytes < size || i == prefixes.Length - 1)
            {
                string prefix = binary ? prefixes[i..(i + 1)].ToUpperInvariant() + "i" : prefixes[i..(i + 1)];
                return $"{PythonNumber.Fixed(unit * bytes / size, 1)} {prefix}B";
            }
        }
    }

    // float(value); null where Python raises a TypeError or ValueError.
    private static object? Number(Rendering rendering, object value)
    {
        Operators.Refuse(value);
        rendering.Reads(value);
        return Operators.AsText(value) is { } text ? PythonNumber.Float(text) : Operators.AsDouble(value);
    }

    private static object Integer(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("int", "default?", "base?");
        Operators.Refuse(value);
        rendering.Reads(value);
        int radix = given[1] is null ? 10 : Operators.Index(given[1]);
        if (Operators.AsText(value) is { } text)
        {
            bool isRadix = radix is 0 or (>= 2 and <= 36);
            if (isRadix && PythonNumber.Integer(text, radix) is { } parsed)
            {
                return parsed;
            }

            return PythonNumber.Float(text) is { } number && double.IsFinite(number) ? Truncate(number) : given[0] ?? BigInteger.Zero;
        }

        return value is double real ? double.IsNaN(real) ? given[0] ?? BigInteger.Zero : Truncate(real)
            : Operators.AsInteger(value) is { } integer ? integer : given[0] ?? BigInteger.Zero;
    }

    private static object Format(Rendering rendering, object value, Arguments arguments)
    {
        if (arguments.Positional.Count > 0 && arguments.Named.Count > 0)
        {
            throw TemplateException.Failed("can't handle positional and keyword arguments at the same time");
        }

        DictValue named = new();
        foreach ((string key, object item) in arguments.Named)
        {
            named.Set(key, item);
        }

        object values = named.Items.Count > 0 ? named : new TupleValue([.. arguments.Positional]);
        return Operators.Binary(rendering, "%", value is Markup ? value : Printing.Text(rendering, value), values);
    }

    private static object Indent(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("indent", "width?", "first?", "blank?");
        Operators.Refuse(value);
        string text = Operators.AsText(value) ?? throw TemplateException.Failed($"unsupported operand type(s) for +=: '{Printing.TypeName(value)}' and 'str'");
        string indention = given[0] is null ? "    " : Operators.AsText(given[0])
            ?? (string)Operators.Binary(rendering, "*", " ", given[0]!);
        List<string> lines = PythonText.Lines(text + "\n");
        rendering.BuildText(text.Length + ((double)indention.Length * lines.Count));
        StringBuilder indented = new();
        for (int i = 0; i < lines.Count; i++)
        {
            bool isIndented = i == 0 ? IsSet(given[1]) : IsSet(given[2]) || lines[i].Length > 0;
            indented.Append(i > 0 ? "\n" : "").Append(isIndented ? indention : "").Append(lines[i]);
        }

        return Keep(value, indented.ToString());
    }

    // Only what fits in one line, which is what templates print; Python breaks longer values by rules of their own.
    private static object PrettyPrint(Rendering rendering, object value, Arguments arguments)
    {
        arguments.Only("pprint", 0, 0);
        string text = Printing.Representation(rendering, Ordered(rendering, value));
        return PythonText.Length(text) < 80 || value is not (ListValue or TupleValue or DictValue or string or Markup) ? text : throw TemplateException.Unsupported("pprint of a value that takes more than one line");
    }

    private static object Ordered(Rendering rendering, object value)
    {
        rendering.Enter();
        object ordered = value;
        if (value is DictValue dict)
        {
            DictValue sorted = new();
            foreach ((object key, object item) in Sorting.Sort(rendering, [.. dict.Items], pair => pair.Key, isDescending: false))
            {
                sorted.Set(key, Ordered(rendering, item));
            }

            ordered = sorted;
        }
        else if (value is ListValue list)
        {
            ordered = new ListValue(list.Items.Select(item => Ordered(rendering, item)));
        }
        else if (value is TupleValue tuple)
        {
            ordered = new TupleValue([.. tuple.Items.Select(item => Ordered(rendering, item))]);
        }

        rendering.Leave();
        return ordered;
    }

    private static object Replace(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("replace", "old", "new", "count?");
        int count = given[2] is null or NoneValue ? -1 : Operators.Index(given[2]);
        if (!rendering.Escapes)
        {
            return Strings.Replace(rendering, Printing.Text(rendering, value), Printing.Text(rendering, given[0]!), Printing.Text(rendering, given[1]!), count);
        }

        object text = given[0] is Markup || (given[1] is Markup && value is not Markup) ? new Markup(Html.Escaped(rendering, value)) : value is Markup ? value : Printing.Text(rendering, value);
        string replacement = text is Markup ? Html.Escaped(rendering, given[1]!) : Printing.Text(rendering, given[1]!);
        return Keep(text, Strings.Replace(rendering, Operators.AsText(text)!, Printing.Text(rendering, given[0]!), replacement, count));
    }

    private static object Round(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("round", "precision?", "method?");
        Operators.Refuse(value);
        object precision = given[0] ?? BigInteger.Zero;
        string method = given[1] is null ? "common" : Operators.AsText(given[1]) ?? "";
        if (method is not ("common" or "ceil" or "floor"))
        {
            throw TemplateException.Failed("method must be common, ceil or floor");
        }

        if (value is not (double or bool or BigInteger))
        {
            throw TemplateException.Failed($"type {Printing.TypeName(value)} doesn't define __round__ method");
        }

        if (method == "common")
        {
            int decimals = Math.Clamp(precision is NoneValue ? 0 : Operators.Index(precision), -400, 400);
            return value is double number
                ? precision is NoneValue ? Truncate(double.Parse(PythonNumber.Fixed(number, 0), System.Globalization.CultureInfo.InvariantCulture)) : RoundReal(number, decimals)
                : RoundWhole(Operators.AsInteger(value)!.Value, decimals);
        }

        object power = Operators.Binary(rendering, "**", (BigInteger)10, precision);
        object scaled = Operators.Binary(rendering, "*", value, power);
        object whole = scaled is double real ? Truncate(method == "ceil" ? Math.Ceiling(real) : Math.Floor(real)) : scaled;
        return Operators.Binary(rendering, "/", whole, power);
    }

    private static object RoundReal(double number, int decimals) => !double.IsFinite(number) ? number
        : double.Parse(PythonNumber.Fixed(number, decimals), System.Globalization.CultureInfo.InvariantCulture);

    private static object RoundWhole(BigInteger number, int decimals)
    {
        if (decimals >= 0)
        {
            return number;
        }

        BigInteger unit = BigInteger.Pow(10, -decimals);
        BigInteger down = PythonNumber.FloorDivide(number, unit);
        int half = ((number - (down * unit)) * 2).CompareTo(unit);
        return (half > 0 || (half == 0 && !down.IsEven) ? down + 1 : down) * unit;
    }

    // The first letter of each word, after a blank, a hyphen or an opening bracket, in upper case.
    private static object Title(Rendering rendering, string text)
    {
        rendering.BuildText(text.Length * 2.0);
        StringBuilder title = new();
        int from = 0;
        while (from < text.Length)
        {
            int end = from;
            while (end < text.Length && !IsBreak(text[end]))
            {
                end++;
            }

            int first = PythonText.Unit(text, 0) + (from < end && char.IsHighSurrogate(text[from]) && from + 1 < end ? 2 : 1);
            if (end > from)
            {
                title.Append(PythonText.Upper(text.Substring(from, first))).Append(PythonText.Lower(text[(from + first)..end]));
            }

            for (; end < text.Length && IsBreak(text[end]); end++)
            {
                title.Append(text[end]);
            }

            from = end;
        }

        return title.ToString();

        static bool IsBreak(char c) => c is '-' or '(' or '{' or '[' or '<' || PythonText.IsSpace(c);
    }

    private static object ToJson(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("tojson", "ensure_ascii?", "indent?", "separators?", "sort_keys?");
        string? indent = given[1] is null or NoneValue ? null : Operators.AsText(given[1]) ?? (string)Operators.Binary(rendering, "*", " ", given[1]!);
        object[] separators = given[2] switch
        {
            null or NoneValue => [indent is null ? ", " : ",", ": "],
            TupleValue { Items.Length: 2 } tuple => tuple.Items,
            ListValue { Items.Count: 2 } list => [.. list.Items],
            _ => throw TemplateException.Failed("separators must be two texts"),
        };
        return new JsonWriter(rendering, IsSet(given[0]), indent, Name(separators[0]), Name(separators[1]), IsSet(given[3])).Write(value);
    }

    private static object Truncate(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("truncate", "length?", "killwords?", "end?", "leeway?");
        Operators.Refuse(value is Undefined ? "" : value);
        string end = given[2] is null ? "..." : Operators.AsText(given[2]) ?? throw TemplateException.Failed("end must be a text");
        int length = given[0] is null ? 255 : Operators.Index(given[0]), leeway = given[3] is null or NoneValue ? 5 : Operators.Index(given[3]), ending = PythonText.Length(end);
        if (length < ending || leeway < 0)
        {
            throw TemplateException.Failed($"expected length >= {ending}, got {length}");
        }

        if (Operators.Length(rendering, value) is { } size && size <= length + (long)leeway)
        {
            return value;
        }

        string text = Operators.AsText(value) ?? throw TemplateException.Failed("only a text can be truncated");
        string cut = text[..PythonText.Unit(text, length - ending)];
        if (!IsSet(given[1]))
        {
            int blank = cut.LastIndexOf(' ');
            cut = blank < 0 ? cut : cut[..blank];
        }

        return Keep(value, cut + (value is Markup ? Html.Escaped(rendering, given[2] ?? "...") : end));
    }

    private static object WordCount(Rendering rendering, string text)
    {
        int words = 0;
        bool inWord = false;
        foreach (int c in PythonText.Characters(text))
        {
            bool isPart = c == '_' || PythonText.IsAlphanumeric(c);
            words += isPart && !inWord ? 1 : 0;
            inWord = isPart;
        }

        return (BigInteger)words;
    }
}
