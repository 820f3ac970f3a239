using System.Numerics;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>The methods of Python's str.</summary>
internal static partial class Strings
{
    private delegate object Method(Rendering rendering, string text, Arguments arguments);

    // Methods whose arguments a Markup escapes first, and from which argument on.
    private static readonly Dictionary<string, int> EscapedFrom = new() { ["replace"] = 1, ["ljust"] = 1, ["rjust"] = 1, ["center"] = 1, ["join"] = 0 };

    private static readonly Dictionary<string, Method> Methods = new()
    {
        ["capitalize"] = Plain("capitalize", PythonText.Capitalize),
        ["casefold"] = Plain("casefold", PythonText.CaseFold),
        ["lower"] = Plain("lower", PythonText.Lower),
        ["swapcase"] = Plain("swapcase", PythonText.SwapCase),
        ["title"] = Plain("title", PythonText.Title),
        ["upper"] = Plain("upper", PythonText.Upper),
        ["center"] = (r, text, a) => Justify(r, text, a, 'c'),
        ["ljust"] = (r, text, a) => Justify(r, text, a, 'l'),
        ["rjust"] = (r, text, a) => Justify(r, text, a, 'r'),
        ["zfill"] = ZeroFill,
        ["count"] = (r, text, a) => Count(r, text, a),
        ["find"] = (r, text, a) => Find(r, text, a, "find", isLast: false),
        ["index"] = (r, text, a) => Found(Find(r, text, a, "index", isLast: false)),
        ["rfind"] = (r, text, a) => Find(r, text, a, "rfind", isLast: true),
        ["rindex"] = (r, text, a) => Found(Find(r, text, a, "rindex", isLast: true)),
        ["startswith"] = (r, text, a) => Touches(text, a, "startswith"),
        ["endswith"] = (r, text, a) => Touches(text, a, "endswith"),
        ["encode"] = Encode,
        ["expandtabs"] = ExpandTabs,
        ["format"] = (r, text, a) => new BraceFormat(r, a.Positional, name => a.Named.Find(pair => pair.Key == name).Value, escapes: false).Format(text),
        ["format_map"] = (r, text, a) => new BraceFormat(r, [], Keys(a.Only("format_map", 1, 1)[0]), escapes: false).Format(text),
        ["isalnum"] = All("isalnum", PythonText.IsAlphanumeric),
        ["isalpha"] = All("isalpha", PythonText.IsLetter),
        ["isdecimal"] = All("isdecimal", PythonText.IsDecimal),
        ["isdigit"] = All("isdigit", PythonText.IsDigit),
        ["isnumeric"] = All("isnumeric", PythonText.IsNumeric),
        ["isspace"] = All("isspace", c => c < 0x10000 && PythonText.IsSpace((char)c)),
        ["isascii"] = (r, text, a) => None("isascii", a) && Ascii.IsValid(text),
        ["isprintable"] = (r, text, a) => None("isprintable", a) && PythonText.Characters(text).All(PythonText.IsPrintable),
        ["isidentifier"] = (r, text, a) => None("isidentifier", a) && PythonText.IsIdentifier(text),
        ["islower"] = (r, text, a) => None("islower", a) && IsLower(text),
        ["isupper"] = (r, text, a) => None("isupper", a) && IsUpper(text),
        ["istitle"] = (r, text, a) => None("istitle", a) && IsTitle(text),
        ["join"] = (r, text, a) => Join(r, text, a.Only("join", 1, 1)[0]),
        ["partition"] = (r, text, a) => Partition(r, text, a, isLast: false),
        ["rpartition"] = (r, text, a) => Partition(r, text, a, isLast: true),
        ["removeprefix"] = (r, text, a) => Text("removeprefix", a.Only("removeprefix", 1, 1)[0]) is var prefix && text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : text,
        ["removesuffix"] = (r, text, a) => Text("removesuffix", a.Only("removesuffix", 1, 1)[0]) is var suffix && text.EndsWith(suffix, StringComparison.Ordinal) ? text[..^suffix.Length] : text,
        ["replace"] = (r, text, a) => a.Only("replace", 2, 3) is var given
            ? Replace(r, text, Text("replace", given[0]), Text("replace", given[1]), given.Count > 2 ? Operators.Index(given[2]) : -1) : text,
        ["split"] = (r, text, a) => Split(r, text, a, "split"),
        ["rsplit"] = (r, text, a) => Split(r, text, a, "rsplit"),
        ["splitlines"] = (r, text, a) => new ListValue(Operators.Counted(r, PythonText.Lines(text, a.Bind("splitlines", "keepends?")[0] is { } keep && Operators.IsTrue(keep)))),
        ["strip"] = (r, text, a) => Strip(text, a.Only("strip", 0, 1).FirstOrDefault(), true, true),
        ["lstrip"] = (r, text, a) => Strip(text, a.Only("lstrip", 0, 1).FirstOrDefault(), true, false),
        ["rstrip"] = (r, text, a) => Strip(text, a.Only("rstrip", 0, 1).FirstOrDefault(), false, true),
        ["translate"] = Translate,
        ["maketrans"] = (r, text, a) => MakeTranslation(a),
    };

    /// <summary>The method of a text; null where str has none of that name.</summary>
    public static Function? Find(object owner, string name)
    {
        string text = Operators.AsText(owner)!;
        if (owner is Markup markup)
        {
            return FindOfMarkup(markup, name);
        }

        return !Methods.TryGetValue(name, out Method? method) ? null : new Function(name, (rendering, arguments) =>
        {
            rendering.Reads(owner);
            return method(rendering, text, arguments);
        });
    }

    /// <summary>Counts the work of looking for one text in another.</summary>
    public static void CountSearch(Rendering? rendering, string text, string part) =>
        rendering?.Step(1 + (text.Length >> 8) + (long)((double)text.Length * part.Length / 2048));

    /// <summary>text.replace(old, new, count).</summary>
    public static string Replace(Rendering rendering, string text, string old, string replacement, int count)
    {
        if (count == 0)
        {
            return text;
        }

        CountSearch(rendering, text, old);
        StringBuilder replaced = new();
        int from = 0;
        if (old.Length == 0)
        {
            int[] characters = PythonText.Characters(text);
            int places = count < 0 ? characters.Length + 1 : Math.Min(count, characters.Length + 1);
            rendering.BuildText(text.Length + ((double)places * replacement.Length));
            for (int i = 0; i < characters.Length; i++)
            {
                replaced.Append(i < places ? replacement : "").Append(PythonText.Character(characters[i]));
            }

            return replaced.Append(places > characters.Length ? replacement : "").ToString();
        }

        for (int at = text.IndexOf(old, StringComparison.Ordinal); at >= 0 && count != 0; at = text.IndexOf(old, from, StringComparison.Ordinal), count--)
        {
            rendering.BuildText(at - from + (double)replacement.Length);
            replaced.Append(text, from, at - from).Append(replacement);
            from = at + old.Length;
        }

        return from == 0 ? text : replaced.Append(text, from, text.Length - from).ToString();
    }

    /// <summary>separator.join(items).</summary>
    public static string Join(Rendering rendering, string separator, object items)
    {
        StringBuilder joined = new();
        int count = 0;
        foreach (object item in Operators.Iterate(items))
        {
            rendering.Step();
            string text = Operators.AsText(item) ?? throw TemplateException.Failed($"sequence item {count}: expected str instance, {Printing.TypeName(item)} found");
            rendering.BuildText(text.Length + (double)separator.Length);
            joined.Append(count++ > 0 ? separator : "").Append(text);
        }

        return joined.ToString();
    }

    /// <summary>text.strip(chars), at one end or both.</summary>
    public static string Strip(string text, object? chars, bool atStart, bool atEnd)
    {
        HashSet<int>? set = chars is null or NoneValue ? null : [.. PythonText.Characters(Operators.AsText(chars) ?? throw TemplateException.Failed("strip arg must be None or str"))];
        if (set is null)
        {
            ReadOnlySpan<char> span = text;
            int first = atStart ? span.IndexOfAnyExcept(PythonText.Spaces) : 0;
            return first < 0 ? "" : text[first..(atEnd ? span.LastIndexOfAnyExcept(PythonText.Spaces) + 1 : text.Length)];
        }

        int[] all = PythonText.Characters(text);
        int from = 0, end = all.Length;
        while (atStart && from < end && set.Contains(all[from]))
        {
            from++;
        }

        while (atEnd && end > from && set.Contains(all[end - 1]))
        {
            end--;
        }

        return text[PythonText.Unit(text, from)..PythonText.Unit(text, end)];
    }

    public static bool IsLower(string text) => PythonText.Characters(text) is var all && all.Any(PythonText.IsLower) && !all.Any(c => PythonText.IsUpper(c) || PythonText.IsTitle(c));

    public static bool IsUpper(string text) => PythonText.Characters(text) is var all && all.Any(PythonText.IsUpper) && !all.Any(c => PythonText.IsLower(c) || PythonText.IsTitle(c));

    /// <summary>text.center(width, fill), text.ljust or text.rjust.</summary>
    /// <param name="side">c, l or r.</param>
    public static string Justify(Rendering rendering, string text, BigInteger width, string fill, char side)
    {
        if (PythonText.Length(fill) != 1)
        {
            throw TemplateException.Failed("The fill character must be exactly one character long");
        }

        rendering.BuildText((double)BigInteger.Max(0, width) * fill.Length);
        int missing = (int)BigInteger.Max(0, width - PythonText.Length(text));
        int left = side switch { 'c' => (missing / 2) + (missing & (int)width & 1), 'r' => missing, _ => 0 };
        return Repeat(fill, left) + text + Repeat(fill, missing - left);

        static string Repeat(string part, int count) => part.Length == 1 ? new string(part[0], count) : string.Concat(Enumerable.Repeat(part, count));
    }

    private static Function? FindOfMarkup(Markup markup, string name)
    {
        if (name is "striptags" or "unescape")
        {
            return new Function(name, (rendering, arguments) => None(name, arguments) && name == "striptags" ? new Markup(HtmlText.StripTags(rendering, markup.Text)) : HtmlText.Unescape(markup.Text));
        }

        if (name == "escape")
        {
            return new Function(name, (rendering, arguments) => new Markup(Html.Escaped(rendering, arguments.Only(name, 1, 1)[0])));
        }

        if (name is "format" or "format_map")
        {
            return new Function(name, (rendering, arguments) => new Markup(name == "format"
                ? new BraceFormat(rendering, arguments.Positional, key => arguments.Named.Find(pair => pair.Key == key).Value, escapes: true).Format(markup.Text)
                : new BraceFormat(rendering, [], Keys(arguments.Only(name, 1, 1)[0]), escapes: true).Format(markup.Text)));
        }

        if (!Methods.TryGetValue(name, out Method? method))
        {
            return null;
        }

        return new Function(name, (rendering, arguments) =>
        {
            rendering.Reads(markup);
            if (EscapedFrom.TryGetValue(name, out int from))
            {
                arguments = new([.. arguments.Positional.Select((value, i) => i < from || value is not (string or Markup) && name != "join" ? value : name == "join" ? Escape(Operators.Iterate(value)) : Html.Escaped(rendering, value))], arguments.Named);
            }

            return Safe(method(rendering, markup.Text, arguments));

            IteratorValue Escape(IEnumerable<object> items) => new(items.Select(item => (object)Html.Escaped(rendering, item)));
        });

        object Safe(object result) => result switch
        {
            string text => new Markup(text),
            ListValue list => new ListValue(list.Items.Select(Safe)),
            TupleValue tuple => new TupleValue([.. tuple.Items.Select(Safe)]),
            _ => result,
        };
    }

    private static Func<string, object?> Keys(object mapping) => mapping is DictValue dict ? dict.Find : throw TemplateException.Failed("format_map() argument must be a mapping");

    private static Method Plain(string name, Func<string, string> change) => (rendering, text, arguments) =>
    {
        None(name, arguments);
        rendering.Step(text.Length >> 4);
        rendering.BuildText(text.Length * 2.0);
        return change(text);
    };

    private static Method All(string name, Func<int, bool> test) => (rendering, text, arguments) =>
    {
        rendering.Step(text.Length >> 4);
        return None(name, arguments) && text.Length > 0 && PythonText.Characters(text).All(test);
    };

    private static bool None(string name, Arguments arguments) => arguments.Only(name, 0, 0) is not null;

    private static string Text(string name, object value) => value is Undefined undefined ? throw undefined.Failure
        : Operators.AsText(value) ?? throw TemplateException.Failed($"{name}() argument must be str, not {Printing.TypeName(value)}");

    private static BigInteger Found(BigInteger at) => at < 0 ? throw TemplateException.Failed("substring not found") : at;

    private static object Justify(Rendering rendering, string text, Arguments arguments, char side)
    {
        List<object> given = arguments.Only("center", 1, 2);
        return Justify(rendering, text, Operators.Integer(given[0]), given.Count > 1 ? Text("center", given[1]) : " ", side);
    }

    private static object ZeroFill(Rendering rendering, string text, Arguments arguments)
    {
        BigInteger width = Operators.Integer(arguments.Only("zfill", 1, 1)[0]);
        rendering.BuildText((double)BigInteger.Max(0, width));
        int missing = (int)BigInteger.Max(0, width - PythonText.Length(text));
        int sign = text.Length > 0 && text[0] is '+' or '-' ? 1 : 0;
        return text[..sign] + new string('0', missing) + text[sign..];
    }

    // The part that start and end name, in UTF-16 units; null where start lies behind the end.
    private static (string Part, int Start)? Window(string text, List<object> given)
    {
        int length = PythonText.Length(text);
        int start = given.Count > 1 && given[1] is not NoneValue ? Operators.Index(given[1]) : 0;
        int end = given.Count > 2 && given[2] is not NoneValue ? Operators.Index(given[2]) : length;
        start = start < 0 ? Math.Max(0, start + length) : start;
        end = end < 0 ? Math.Max(0, end + length) : Math.Min(end, length);
        return start > end ? null : (text[PythonText.Unit(text, start)..PythonText.Unit(text, end)], start);
    }

    private static BigInteger Find(Rendering rendering, string text, Arguments arguments, string name, bool isLast)
    {
        List<object> given = arguments.Only(name, 1, 3);
        string part = Text(name, given[0]);
        CountSearch(rendering, text, part);
        if (Window(text, given) is not { } window)
        {
            return -1;
        }

        int at = isLast ? part.Length == 0 ? window.Part.Length : window.Part.LastIndexOf(part, StringComparison.Ordinal) : window.Part.IndexOf(part, StringComparison.Ordinal);
        return at < 0 ? -1 : window.Start + PythonText.Length(window.Part[..at]);
    }

    private static object Count(Rendering rendering, string text, Arguments arguments)
    {
        List<object> given = arguments.Only("count", 1, 3);
        string part = Text("count", given[0]);
        CountSearch(rendering, text, part);
        if (Window(text, given) is not { } window)
        {
            return BigInteger.Zero;
        }

        return (BigInteger)(part.Length == 0 ? PythonText.Length(window.Part) + 1 : window.Part.AsSpan().Count(part));
    }

    private static object Touches(string text, Arguments arguments, string name)
    {
        List<object> given = arguments.Only(name, 1, 3);
        Operators.Refuse(given[0]);
        IEnumerable<object> parts = given[0] is TupleValue tuple ? tuple.Items : [given[0]];
        string[] texts = [.. parts.Select(part => Operators.AsText(part) ?? throw TemplateException.Failed($"{name} first arg must be str or a tuple of str, not {Printing.TypeName(part)}"))];
        return Window(text, given) is { } window
            && texts.Any(part => name == "startswith" ? window.Part.StartsWith(part, StringComparison.Ordinal) : window.Part.EndsWith(part, StringComparison.Ordinal));
    }

    private static object Encode(Rendering rendering, string text, Arguments arguments)
    {
        object?[] given = arguments.Bind("encode", "encoding?", "errors?");
        string encoding = given[0] is null ? "utf-8" : Text("encode", given[0]!).ToLowerInvariant().Replace('_', '-');
        rendering.BuildText(text.Length * 2.0);
        return encoding is "utf-8" or "utf8" || (encoding == "ascii" && Ascii.IsValid(text)) ? new BytesValue(Encoding.UTF8.GetBytes(text))
            : throw TemplateException.Unsupported($"the encoding {encoding}");
    }

    private static object ExpandTabs(Rendering rendering, string text, Arguments arguments)
    {
        int size = arguments.Bind("expandtabs", "tabsize?")[0] is { } given ? Operators.Index(given) : 8;
        StringBuilder expanded = new();
        int column = 0;
        foreach (int c in PythonText.Characters(text))
        {
            int blanks = c != '\t' ? 0 : size > 0 ? size - (column % size) : 0;
            rendering.BuildText(blanks + 1.0);
            column = c is '\n' or '\r' ? 0 : c == '\t' ? column + blanks : column + 1;
            _ = c == '\t' ? expanded.Append(' ', blanks) : expanded.Append(PythonText.Character(c));
        }

        return expanded.ToString();
    }

    private static bool IsTitle(string text)
    {
        bool inWord = false, hasLetter = false;
        foreach (int c in PythonText.Characters(text))
        {
            bool begins = PythonText.IsUpper(c) || PythonText.IsTitle(c);
            if ((begins && inWord) || (!begins && PythonText.IsLower(c) && !inWord))
            {
                return false;
            }

            inWord = PythonText.IsCased(c);
            hasLetter |= inWord;
        }

        return hasLetter;
    }

    private static object Partition(Rendering rendering, string text, Arguments arguments, bool isLast)
    {
        string separator = Text("partition", arguments.Only("partition", 1, 1)[0]);
        if (separator.Length == 0)
        {
            throw TemplateException.Failed("empty separator");
        }

        CountSearch(rendering, text, separator);
        int at = isLast ? text.LastIndexOf(separator, StringComparison.Ordinal) : text.IndexOf(separator, StringComparison.Ordinal);
        rendering.BuildText(text.Length);
        return new TupleValue(at >= 0 ? [text[..at], separator, text[(at + separator.Length)..]] : isLast ? ["", "", text] : [text, "", ""]);
    }

    private static object Split(Rendering rendering, string text, Arguments arguments, string name)
    {
        object?[] given = arguments.Bind(name, "sep?", "maxsplit?");
        string? separator = given[0] is null or NoneValue ? null : Text(name, given[0]!);
        int limit = given[1] is null ? -1 : Operators.Index(given[1]);
        if (separator is { Length: 0 })
        {
            throw TemplateException.Failed("empty separator");
        }

        limit = limit < 0 ? int.MaxValue : limit;
        CountSearch(rendering, text, separator ?? " ");
        IEnumerable<string> parts = (separator, name) switch
        {
            (null, "split") => Words(text, limit),
            (null, _) => WordsFromEnd(text, limit).Reverse(),
            (_, "split") => Parts(text, separator!, limit),
            _ => PartsFromEnd(text, separator!, limit).Reverse(),
        };
        List<object> list = [];
        foreach (string part in parts)
        {
            rendering.Step();
            rendering.Build(40 + (2L * part.Length));
            list.Add(part);
        }

        return new ListValue(list);
    }

    private static IEnumerable<string> Parts(string text, string separator, int limit)
    {
        int from = 0;
        for (int at; limit > 0 && (at = text.IndexOf(separator, from, StringComparison.Ordinal)) >= 0; limit--)
        {
            yield return text[from..at];
            from = at + separator.Length;
        }

        yield return text[from..];
    }

    private static IEnumerable<string> PartsFromEnd(string text, string separator, int limit)
    {
        int end = text.Length;
        for (int at; limit > 0 && (at = text.AsSpan(0, end).LastIndexOf(separator)) >= 0; limit--)
        {
            yield return text[(at + separator.Length)..end];
            end = at;
        }

        yield return text[..end];
    }

    private static IEnumerable<string> Words(string text, int limit)
    {
        int at = 0;
        while (true)
        {
            int from = Skip(text, at, spaces: true);
            if (from >= text.Length)
            {
                yield break;
            }

            if (limit-- == 0)
            {
                yield return Strip(text[from..], null, false, true);
                yield break;
            }

            at = Skip(text, from, spaces: false);
            yield return text[from..at];
        }
    }

    private static IEnumerable<string> WordsFromEnd(string text, int limit)
    {
        int end = text.Length;
        while (true)
        {
            while (end > 0 && PythonText.IsSpace(text[end - 1]))
            {
                end--;
            }

            if (end == 0)
            {
                yield break;
            }

            if (limit-- == 0)
            {
                yield return Strip(text[..end], null, true, false);
                yield break;
            }

            int from = end;
            while (from > 0 && !PythonText.IsSpace(text[from - 1]))
            {
                from--;
            }

            yield return text[from..end];
            end = from;
        }
    }

    private static int Skip(string text, int at, bool spaces)
    {
        while (at < text.Length && PythonText.IsSpace(text[at]) == spaces)
        {
            at++;
        }

        return at;
    }

    private static object Translate(Rendering rendering, string text, Arguments arguments)
    {
        object table = arguments.Only("translate", 1, 1)[0];
        StringBuilder translated = new();
        foreach (int c in PythonText.Characters(text))
        {
            rendering.Step();
            object? to = Operators.Item(rendering, table, (BigInteger)c) is { } found and not Undefined ? found : null;
            string part = to switch
            {
                null => PythonText.Character(c),
                NoneValue => "",
                BigInteger code => PythonText.Character((int)code),
                _ => Operators.AsText(to) ?? throw TemplateException.Failed("character mapping must return integer, None or str"),
            };
            rendering.BuildText(part.Length);
            translated.Append(part);
        }

        return translated.ToString();
    }

    private static DictValue MakeTranslation(Arguments arguments)
    {
        List<object> given = arguments.Only("maketrans", 1, 3);
        DictValue table = new();
        if (given.Count == 1)
        {
            foreach ((object key, object value) in (given[0] as DictValue ?? throw TemplateException.Failed("if you give only one argument to maketrans it must be a dict")).Items)
            {
                table.Set(Operators.AsText(key) is { } one && PythonText.Length(one) == 1 ? (BigInteger)PythonText.Characters(one)[0]
                    : Operators.AsInteger(key) is not null ? key : throw TemplateException.Failed("string keys in translate table must be of length 1"), value);
            }

            return table;
        }

        int[] from = PythonText.Characters(Text("maketrans", given[0])), to = PythonText.Characters(Text("maketrans", given[1]));
        if (from.Length != to.Length)
        {
            throw TemplateException.Failed("the first two maketrans arguments must have equal length");
        }

        for (int i = 0; i < from.Length; i++)
        {
            table.Set((BigInteger)from[i], (BigInteger)to[i]);
        }

        foreach (int c in given.Count > 2 ? PythonText.Characters(Text("maketrans", given[2])) : [])
        {
            table.Set((BigInteger)c, NoneValue.Value);
        }

        return table;
    }
}
