using System.Numerics;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>How Python prints values.</summary>
internal static class Printing
{
    /// <summary>str(value).</summary>
    public static string Text(Rendering rendering, object value) => value switch
    {
        string text => text,
        Markup markup => markup.Text,
        Undefined => "",
        _ => Representation(rendering, value),
    };

    /// <summary>repr(value).</summary>
    public static string Representation(Rendering rendering, object value)
    {
        if (Scalar(value) is { } simple)
        {
            return simple;
        }

        StringBuilder text = new();
        Write(rendering, text, value);
        return text.ToString();
    }

    /// <summary>repr(text).</summary>
    public static string Quoted(string text)
    {
        char quote = text.Contains('\'', StringComparison.Ordinal) && !text.Contains('"', StringComparison.Ordinal) ? '"' : '\'';
        StringBuilder quoted = new(text.Length + 2);
        quoted.Append(quote);
        foreach (Rune rune in text.EnumerateRunes())
        {
            int c = rune.Value;
            _ = c switch
            {
                '\n' => quoted.Append("\\n"),
                '\r' => quoted.Append("\\r"),
                '\t' => quoted.Append("\\t"),
                '\\' => quoted.Append("\\\\"),
                _ when c == quote => quoted.Append('\\').Append(quote),
                _ when c is >= 0x20 and < 0x7F || PythonText.IsPrintable(c) => quoted.Append(rune),
                _ => quoted.Append(PythonText.Escape(c)),
            };
        }

        return quoted.Append(quote).ToString();
    }

    /// <summary>ascii(value): as repr, with escapes for what is not ASCII.</summary>
    public static string AsciiRepresentation(Rendering rendering, object value) =>
        Ascii(Representation(rendering, value));

    /// <summary>The name of a value's type in Python.</summary>
    public static string TypeName(object value) => value switch
    {
        NoneValue => "NoneType",
        bool => "bool",
        BigInteger => "int",
        double => "float",
        string => "str",
        Markup => "Markup",
        Undefined => "Undefined",
        ListValue => "list",
        TupleValue => "tuple",
        DictValue => "dict",
        DictView view => "dict_" + view.Kind,
        RangeValue => "range",
        IteratorValue iterator => iterator.Type,
        NamespaceValue => "Namespace",
        BytesValue => "bytes",
        LoopValue => "LoopContext",
        Macro => "Macro",
        Cycler => "Cycler",
        Joiner => "Joiner",
        _ => "function",
    };

    private static string Ascii(string text) => string.Concat(text.EnumerateRunes().Select(rune => rune.IsAscii ? rune.ToString() : PythonText.Escape(rune.Value)));

    private static string? Scalar(object value) => value switch
    {
        string text => Quoted(text),
        BigInteger number => PythonNumber.Text(number),
        double number => PythonNumber.Text(number),
        bool flag => flag ? "True" : "False",
        NoneValue => "None",
        Undefined => "Undefined",
        Markup markup => $"Markup({Quoted(markup.Text)})",
        LoopValue loop => $"<LoopContext {loop.Index0 + 1}/{loop.Length}>",
        Macro macro => $"<Macro {(macro.Name is null ? "anonymous" : Quoted(macro.Name))}>",
        BlockNames => "<TemplateReference None>",
        BytesValue bytes => "b" + Ascii(Quoted(string.Concat(bytes.Bytes.Select(b => (char)b)))),
        Function { Text: { } text } => text,
        _ => null,
    };

    private static void Write(Rendering rendering, StringBuilder text, object value)
    {
        rendering.Step();
        if (Scalar(value) is { } simple)
        {
            rendering.BuildText(simple.Length);
            text.Append(simple);
            return;
        }

        rendering.Enter();
        switch (value)
        {
            case ListValue list:
                Sequence(rendering, text, "[", list.Items, "]");
                break;
            case TupleValue tuple:
                Sequence(rendering, text, "(", tuple.Items, tuple.Items.Length == 1 ? ",)" : ")");
                break;
            case DictValue dict:
                Pairs(rendering, text, dict);
                break;
            case DictView view:
                Sequence(rendering, text, $"dict_{view.Kind}([", view.Items(), "])");
                break;
            case RangeValue range:
                text.Append($"range({range.Start}, {range.Stop}{(range.Step.IsOne ? "" : $", {range.Step}")})");
                break;
            case NamespaceValue space:
                text.Append("<Namespace ");
                Pairs(rendering, text, space.Attributes);
                text.Append('>');
                break;
            default:
                throw TemplateException.Unsupported($"to print a {TypeName(value)}, which shows an address in Python,");
        }

        rendering.Leave();
    }

    private static void Sequence(Rendering rendering, StringBuilder text, string begin, IEnumerable<object> items, string end)
    {
        text.Append(begin);
        bool isFirst = true;
        foreach (object item in items)
        {
            text.Append(isFirst ? "" : ", ");
            Write(rendering, text, item);
            isFirst = false;
        }

        text.Append(end);
    }

    private static void Pairs(Rendering rendering, StringBuilder text, DictValue dict)
    {
        text.Append('{');
        for (int i = 0; i < dict.Items.Count; i++)
        {
            (object key, object value) = dict.Items.GetAt(i);
            text.Append(i == 0 ? "" : ", ");
            Write(rendering, text, key);
            text.Append(": ");
            Write(rendering, text, value);
        }

        text.Append('}');
    }
}

/// <summary>Escaping for HTML, as MarkupSafe does it.</summary>
internal static class Html
{
    /// <summary>The text of a value, escaped unless it is safe already.</summary>
    public static string Escaped(Rendering rendering, object value) => value is Markup markup ? markup.Text : Escape(rendering, Printing.Text(rendering, value));

    /// <summary>As the other, for texts.</summary>
    public static string Escaped(object text) => text is Markup markup ? markup.Text : Escape(null, (string)text);

    public static string Escape(Rendering? rendering, string text)
    {
        rendering?.BuildText(text.Length * 5.0);
        return text.AsSpan().IndexOfAny("&<>'\"") < 0 ? text
            : new StringBuilder(text).Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;").Replace("'", "&#39;").Replace("\"", "&#34;").ToString();
    }
}
