using System.Numerics;

namespace ProxyTune.Decoding.Text;

/// <summary>Elements, slices, attributes, iteration.</summary>
internal static partial class Operators
{
    public static bool IsTrue(object value) => value switch
    {
        bool flag => flag,
        NoneValue or Undefined => false,
        string text => text.Length > 0,
        BigInteger number => !number.IsZero,
        double number => number != 0,
        Markup markup => markup.Text.Length > 0,
        ListValue list => list.Items.Count > 0,
        TupleValue tuple => tuple.Items.Length > 0,
        DictValue dict => dict.Items.Count > 0,
        DictView view => view.Dict.Items.Count > 0,
        RangeValue range => !range.Length.IsZero,
        BytesValue bytes => bytes.Bytes.Length > 0,
        LoopValue loop => loop.Length > 0,
        _ => true,
    };

    /// <summary>The text of a str, escaped or not; null for other values.</summary>
    public static string? AsText(object? value) => value as string ?? (value as Markup)?.Text;

    /// <summary>Python's len(); null where it raises a TypeError.</summary>
    public static int? Length(Rendering rendering, object value)
    {
        rendering.Reads(value);
        return value switch
        {
            string text => PythonText.Length(text),
            Markup markup => PythonText.Length(markup.Text),
            ListValue list => list.Items.Count,
            TupleValue tuple => tuple.Items.Length,
            DictValue dict => dict.Items.Count,
            DictView view => view.Dict.Items.Count,
            RangeValue range => (int)range.Length,
            Undefined => 0,
            BytesValue bytes => bytes.Bytes.Length,
            LoopValue loop => loop.Length,
            _ => null,
        };
    }

    public static bool IsIterable(object value) => value is string or Markup or ListValue or TupleValue or DictValue or DictView or RangeValue or IteratorValue or Undefined or BytesValue or LoopValue;

    /// <exception cref="TemplateException">It cannot be iterated over.</exception>
    public static IEnumerable<object> Iterate(object value) => value switch
    {
        ListValue list => list.Items,
        TupleValue tuple => tuple.Items,
        DictValue dict => dict.Items.Keys,
        DictView view => view.Items(),
        RangeValue range => range.Items(),
        IteratorValue iterator => iterator,
        Undefined => [],
        string text => PythonText.Characters(text).Select(c => (object)PythonText.Character(c)),
        Markup markup => PythonText.Characters(markup.Text).Select(c => (object)PythonText.Character(c)),
        BytesValue bytes => bytes.Bytes.Select(b => (object)(BigInteger)b),
        LoopValue => throw TemplateException.Unsupported("iteration over the loop variable"),
        _ => throw TemplateException.Failed($"'{Printing.TypeName(value)}' object is not iterable"),
    };

    /// <summary>The elements as a list, each counted.</summary>
    public static List<object> ListOf(Rendering rendering, object value)
    {
        List<object> items = [];
        foreach (object item in Counted(rendering, Iterate(value)))
        {
            items.Add(item);
        }

        return items;
    }

    /// <summary>The same elements, each counted when it is taken.</summary>
    public static IEnumerable<object> Counted(Rendering rendering, IEnumerable<object> items)
    {
        foreach (object item in items)
        {
            rendering.Step();
            rendering.Build(16);
            yield return item;
        }
    }

    /// <summary>x.name.</summary>
    public static object Attribute(Rendering rendering, object value, string name) => Attributes.Find(rendering, value, name)
        ?? Element(value, name) ?? Undefined.Of(value, name);

    /// <summary>x[key].</summary>
    public static object Item(Rendering rendering, object value, object key)
    {
        rendering.Reads(key);
        return Element(value, key) ?? (AsText(key) is { } name ? Attributes.Find(rendering, value, name) : null) ?? Undefined.Of(value, key);
    }

    /// <summary>x[start:stop:step].</summary>
    public static object Slice(Rendering rendering, object value, object? start, object? stop, object? step)
    {
        Refuse(value);
        if (value is DictValue)
        {
            throw TemplateException.Failed("unhashable type: 'slice'");
        }

        if (value is not (string or Markup or ListValue or TupleValue or RangeValue or BytesValue))
        {
            throw TemplateException.Failed($"'{Printing.TypeName(value)}' object is not subscriptable");
        }

        int length = Length(rendering, value)!.Value;
        (int first, int count, int by) = Bounds(length, start, stop, step);
        rendering.Step(count >> 6);
        if (AsText(value) is { } text)
        {
            rendering.BuildText(count);
            string part = by == 1 ? text[PythonText.Unit(text, first)..PythonText.Unit(text, first + count)]
                : Picked(PythonText.Characters(text));
            return value is Markup ? new Markup(part) : part;

            string Picked(int[] all) => PythonText.Join(Enumerable.Range(0, count).Select(i => all[first + (i * by)]));
        }

        rendering.Build(8L * count);
        IEnumerable<int> indices = Enumerable.Range(0, count).Select(i => first + (i * by));
        return value switch
        {
            ListValue list => new ListValue(indices.Select(i => list.Items[i])),
            TupleValue tuple => new TupleValue([.. indices.Select(i => tuple.Items[i])]),
            RangeValue range => new RangeValue((BigInteger)range.At(first), (BigInteger)range.At(first + (BigInteger)by * count), range.Step * by),
            _ => new BytesValue([.. indices.Select(i => ((BytesValue)value).Bytes[i])]),
        };
    }

    private static (int First, int Count, int Step) Bounds(int length, object? start, object? stop, object? step)
    {
        int by = step is null or NoneValue ? 1 : SliceIndex(step);
        if (by == 0)
        {
            throw TemplateException.Failed("slice step cannot be zero");
        }

        int lowest = by > 0 ? 0 : -1, highest = by > 0 ? length : length - 1;
        int first = start is null or NoneValue ? (by > 0 ? lowest : highest) : Clamp(SliceIndex(start));
        int end = stop is null or NoneValue ? (by > 0 ? highest : lowest) : Clamp(SliceIndex(stop));
        long count = by > 0 ? ((long)end - first + by - 1) / by : ((long)first - end - by - 1) / -(long)by;
        return (Math.Max(first, 0), first == end || (end > first) != (by > 0) ? 0 : (int)Math.Max(count, 0), by);

        int Clamp(int index) => (int)Math.Clamp(index < 0 ? (long)index + length : index, lowest, highest);

        static int SliceIndex(object value) => value is Undefined || AsInteger(value) is null
            ? throw TemplateException.Failed("slice indices must be integers or None or have an __index__ method") : Index(value);
    }

    // Python's x[key]; null where it raises a TypeError or LookupError.
    private static object? Element(object value, object key)
    {
        switch (value)
        {
            case DictValue dict:
                return key is ListValue or DictValue or DictView { Kind: not "values" } ? null : dict.Find(key);
            case Undefined undefined:
                throw undefined.Failure;
            case BlockNames blocks:
                return AsText(key) is { } block ? blocks.Find(block) : null;
        }

        if (AsInteger(key) is not { } index)
        {
            return null;
        }

        BigInteger length = value switch
        {
            ListValue list => list.Items.Count,
            TupleValue tuple => tuple.Items.Length,
            RangeValue range => range.Length,
            string text => PythonText.Length(text),
            Markup markup => PythonText.Length(markup.Text),
            BytesValue bytes => bytes.Bytes.Length,
            _ => -1,
        };
        index += index.Sign < 0 ? length : 0;
        if (index.Sign < 0 || index >= length)
        {
            return null;
        }

        int at = (int)index;
        return value switch
        {
            ListValue list => list.Items[at],
            TupleValue tuple => tuple.Items[at],
            RangeValue range => range.At(index),
            string text => Character(text, at),
            Markup markup => new Markup(Character(markup.Text, at)),
            _ => (BigInteger)((BytesValue)value).Bytes[at],
        };
    }

    private static string Character(string text, int at)
    {
        int unit = PythonText.Unit(text, at);
        return text.Substring(unit, char.IsHighSurrogate(text[unit]) && unit + 1 < text.Length ? 2 : 1);
    }
}
