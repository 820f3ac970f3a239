using System.Numerics;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>Writes values as Python's json.dumps does.</summary>
/// <param name="indent">What stands before each level of a line; null for one line.</param>
internal sealed class JsonWriter(Rendering rendering, bool asciiOnly, string? indent, string itemSeparator, string keySeparator, bool sortKeys)
{
    private readonly StringBuilder text = new();

    public string Write(object value)
    {
        WriteValue(value, 0);
        return text.ToString();
    }

    private void WriteValue(object value, int level)
    {
        rendering.Step();
        switch (value)
        {
            case ListValue list:
                WriteItems('[', ']', list.Items, level, WriteValue);
                break;
            case TupleValue tuple:
                WriteItems('[', ']', tuple.Items, level, WriteValue);
                break;
            case DictValue dict:
                WriteItems('{', '}', Sorted(dict), level, WritePair);
                break;
            default:
                Append(Simple(value) ?? throw TemplateException.Failed($"Object of type {Printing.TypeName(value)} is not JSON serializable"));
                break;
        }
    }

    private string? Simple(object value) => value switch
    {
        string or Markup => Quoted(Operators.AsText(value)!),
        NoneValue => "null",
        bool flag => flag ? "true" : "false",
        BigInteger number => PythonNumber.Text(number),
        double number => double.IsNaN(number) ? "NaN" : double.IsInfinity(number) ? (number > 0 ? "Infinity" : "-Infinity") : PythonNumber.Text(number),
        _ => null,
    };

    private void WriteItems<T>(char begin, char end, IReadOnlyList<T> items, int level, Action<T, int> write)
    {
        if (items.Count == 0)
        {
            text.Append(begin).Append(end);
            return;
        }

        rendering.Enter();
        text.Append(begin);
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0)
            {
                Append(itemSeparator);
            }

            BreakLine(level + 1);
            write(items[i], level + 1);
        }

        BreakLine(level);
        text.Append(end);
        rendering.Leave();
    }

    private void BreakLine(int level)
    {
        if (indent is not null)
        {
            rendering.BuildText(indent.Length * (double)level);
            text.Append('\n').Insert(text.Length, indent, level);
        }
    }

    private void WritePair((string Key, object Value) pair, int level)
    {
        Append(Quoted(pair.Key));
        Append(keySeparator);
        WriteValue(pair.Value, level);
    }

    private List<(string Key, object Value)> Sorted(DictValue dict)
    {
        IEnumerable<KeyValuePair<object, object>> pairs = dict.Items;
        if (sortKeys)
        {
            pairs = Sorting.Sort(rendering, [.. pairs], pair => pair.Key, isDescending: false);
        }

        return [.. pairs.Select(pair => (pair.Key is TupleValue or Undefined ? null : Operators.AsText(pair.Key) ?? Simple(pair.Key), pair.Value))
            .Select(pair => (pair.Item1 ?? throw TemplateException.Failed("keys must be str, int, float, bool or None"), pair.Value))];
    }

    private void Append(string part)
    {
        rendering.BuildText(part.Length);
        text.Append(part);
    }

    private string Quoted(string value)
    {
        StringBuilder quoted = new(value.Length + 2);
        quoted.Append('"');
        foreach (char c in value)
        {
            _ = c switch
            {
                '"' => quoted.Append("\\\""),
                '\\' => quoted.Append("\\\\"),
                '\n' => quoted.Append("\\n"),
                '\r' => quoted.Append("\\r"),
                '\t' => quoted.Append("\\t"),
                '\f' => quoted.Append("\\f"),
                '\b' => quoted.Append("\\b"),
                < ' ' => quoted.Append($"\\u{(int)c:x4}"),
                >= '\x7F' when asciiOnly => quoted.Append($"\\u{(int)c:x4}"),
                _ => quoted.Append(c),
            };
        }

        return quoted.Append('"').ToString();
    }
}

/// <summary>Python's sort: stable, and it compares with &lt; only.</summary>
internal static class Sorting
{
    public static List<T> Sort<T>(Rendering rendering, List<T> items, Func<T, object> key, bool isDescending)
    {
        rendering.Build(32L * items.Count);
        rendering.Step(items.Count);
        (object Key, T Item)[] keyed = [.. items.Select(item => (key(item), item))];
        (object Key, T Item)[] spare = new (object Key, T Item)[keyed.Length];
        Merge(rendering, keyed, spare, 0, keyed.Length, isDescending);
        return [.. keyed.Select(pair => pair.Item)];
    }

    private static void Merge<T>(Rendering rendering, (object Key, T Item)[] items, (object Key, T Item)[] spare, int from, int end, bool isDescending)
    {
        if (end - from < 2)
        {
            return;
        }

        int middle = (from + end) / 2;
        Merge(rendering, items, spare, from, middle, isDescending);
        Merge(rendering, items, spare, middle, end, isDescending);
        Array.Copy(items, from, spare, from, end - from);
        for (int at = from, left = from, right = middle; at < end; at++)
        {
            bool takesRight = left >= middle || (right < end && (isDescending
                ? Operators.Order(rendering, "<", spare[left].Key, spare[right].Key)
                : Operators.Order(rendering, "<", spare[right].Key, spare[left].Key)));
            items[at] = takesRight ? spare[right++] : spare[left++];
        }
    }
}
