using System.Numerics;

namespace ProxyTune.Decoding.Text;

/// <summary>Jinja's filters of sequences and mappings.</summary>
internal static partial class Filters
{
    private static object Length(Rendering rendering, object value, Arguments arguments) => arguments.Only("length", 0, 0) is not null && Operators.Length(rendering, value) is { } length
        ? (BigInteger)length : throw TemplateException.Failed($"object of type '{Printing.TypeName(value)}' has no len()");

    // Reads an attribute, a path of attributes or an element of an item.
    private static Func<object, object> Getter(Rendering rendering, object? attribute, bool isCaseSensitive = true, object? fallback = null)
    {
        object[] parts = Parts(attribute);
        return item =>
        {
            rendering.Step();
            foreach (object part in parts)
            {
                item = Operators.Item(rendering, item, part);
                item = item is Undefined && fallback is not (null or NoneValue) ? fallback : item;
            }

            return isCaseSensitive ? item : IgnoreCase(item);
        };
    }

    private static object[] Parts(object? attribute) => attribute is null or NoneValue ? []
        : Operators.AsText(attribute) is { } path ? [.. path.Split('.').Select(part => part.Length > 0 && part.All(c => PythonText.IsDigit(c)) ? (object)PythonNumber.ParseInteger(part, 10) : part)]
        : [attribute];

    private static object IgnoreCase(object value) => value switch
    {
        string text => PythonText.Lower(text),
        Markup markup => new Markup(PythonText.Lower(markup.Text)),
        _ => value,
    };

    private static IteratorValue Items(object value) => new(value switch
    {
        Undefined => [],
        DictValue dict => new DictView(dict, "items").Items(),
        _ => Fail(),
    });

    // Fails when it is read, as a generator does.
    private static IEnumerable<object> Fail()
    {
        if (true)
        {
            throw TemplateException.Failed("Can only get item pairs from a mapping.");
        }

#pragma warning disable CS0162 // Makes it an iterator.
        yield break;
#pragma warning restore CS0162
    }

    private static object Batch(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("batch", "linecount", "fill_with?");
        return new IteratorValue(Rows());

        IEnumerable<object> Rows()
        {
            int length = given[0] is double real ? double.IsInteger(real) ? (int)real : -1 : Operators.Index(given[0]);
            List<object> row = [];
            foreach (object item in Operators.Counted(rendering, Operators.Iterate(value)))
            {
                if (row.Count == length)
                {
                    yield return new ListValue(row);
                    row = [];
                }

                row.Add(item);
            }

            if (row.Count > 0)
            {
                if (given[1] is { } fill and not NoneValue && row.Count < length)
                {
                    rendering.Build(8L * length);
                    rendering.Step(length - row.Count);
                    row.AddRange(Enumerable.Repeat(fill, length - row.Count));
                }

                yield return new ListValue(row);
            }
        }
    }

    private static object Slice(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("slice", "slices", "fill_with?");
        return new IteratorValue(Columns());

        IEnumerable<object> Columns()
        {
            List<object> items = Operators.ListOf(rendering, value);
            int slices = Operators.Index(given[0]);
            if (slices == 0)
            {
                throw TemplateException.Failed("integer division or modulo by zero");
            }

            int length = items.Count / Math.Max(slices, 1), longer = slices > 0 ? items.Count % slices : 0, at = 0;
            for (int i = 0; i < slices; i++)
            {
                rendering.Step();
                rendering.Build(64);
                int count = i < longer ? length + 1 : length;
                List<object> slice = items.GetRange(at, count);
                at += count;
                if (given[1] is { } fill and not NoneValue && i >= longer)
                {
                    slice.Add(fill);
                }

                yield return new ListValue(slice);
            }
        }
    }

    private static object DictSort(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("dictsort", "case_sensitive?", "by?", "reverse?");
        string by = given[1] is null ? "key" : Operators.AsText(given[1]) ?? "";
        if (by is not ("key" or "value"))
        {
            throw TemplateException.Failed("You can only sort by either \"key\" or \"value\"");
        }

        Operators.Refuse(value);
        DictValue dict = value as DictValue ?? throw TemplateException.Failed($"'{Printing.TypeName(value)}' object has no attribute 'items'");
        bool isCaseSensitive = IsSet(given[0]);
        return new ListValue(Sorting.Sort(rendering, [.. dict.Items], Key, IsSet(given[2])).Select(pair => (object)new TupleValue([pair.Key, pair.Value])));

        object Key(KeyValuePair<object, object> pair) => (by == "key" ? pair.Key : pair.Value) is var key && isCaseSensitive ? key : IgnoreCase(key);
    }

    private static object GroupBy(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("groupby", "attribute", "default?", "case_sensitive?");
        bool isCaseSensitive = IsSet(given[2]);
        Func<object, object> key = Getter(rendering, given[0], isCaseSensitive, given[1]), shown = Getter(rendering, given[0], true, given[1]);
        List<object> groups = [];
        List<object> group = [];
        object? current = null;
        foreach (object item in Sorting.Sort(rendering, Operators.ListOf(rendering, value), key, isDescending: false))
        {
            object own = key(item);
            if (current is null || !(ReferenceEquals(own, current) || Operators.AreEqual(rendering, own, current)))
            {
                current = own;
                group = [];
                groups.Add(new TupleValue([isCaseSensitive ? own : shown(item), new ListValue(group)], ["grouper", "list"]));
            }

            group.Add(item);
        }

        return new ListValue(groups);
    }

    private static object Join(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("join", "d?", "attribute?");
        object separator = given[0] ?? "";
        IEnumerable<object> items = Operators.Iterate(value);
        items = given[1] is null or NoneValue ? items : items.Select(Getter(rendering, given[1]));
        if (!rendering.Escapes)
        {
            return Strings.Join(rendering, Printing.Text(rendering, separator), new IteratorValue(items.Select(item => (object)Printing.Text(rendering, item))));
        }

        List<object> all = Operators.ListOf(rendering, new IteratorValue(items));
        bool escapes = separator is Markup || all.Any(item => item is Markup);
        string text = Strings.Join(rendering, escapes ? Html.Escaped(rendering, separator) : Printing.Text(rendering, separator),
            new IteratorValue(all.Select(item => (object)(escapes ? Html.Escaped(rendering, item) : Printing.Text(rendering, item)))));
        return escapes ? new Markup(text) : text;
    }

    private static IEnumerable<object> Reversed(Rendering rendering, object value, bool mayList)
    {
        if (!mayList && value is not (string or Markup or ListValue or TupleValue or DictValue or DictView or RangeValue or Undefined or BytesValue))
        {
            throw TemplateException.Failed($"'{Printing.TypeName(value)}' object is not reversible");
        }

        List<object> items = value is RangeValue { Length: var length } range && length > 0 && !mayList ? [range.At(length - 1)] : Operators.ListOf(rendering, value);
        items.Reverse();
        return items;
    }

    private static object Reverse(Rendering rendering, object value, Arguments arguments)
    {
        arguments.Only("reverse", 0, 0);
        if (Operators.AsText(value) is not null)
        {
            return Operators.Slice(rendering, value, null, null, BigInteger.MinusOne);
        }

        if (!Operators.IsIterable(value))
        {
            throw TemplateException.Failed("argument must be iterable");
        }

        IEnumerable<object> reversed = Reversed(rendering, value, mayList: true);
        return value is IteratorValue ? new ListValue(reversed) : new IteratorValue(reversed, "reversed");
    }

    private static object Sort(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("sort", "reverse?", "case_sensitive?", "attribute?");
        bool isCaseSensitive = IsSet(given[1]);
        object?[] attributes = Operators.AsText(given[2]) is { } names ? names.Split(',') : [given[2]];
        Func<object, object>[] getters = [.. attributes.Select(attribute => Getter(rendering, attribute, isCaseSensitive))];
        return new ListValue(Sorting.Sort(rendering, Operators.ListOf(rendering, value), item => new ListValue(getters.Select(getter => getter(item))), IsSet(given[0])));
    }

    private static object Sum(Rendering rendering, object value, Arguments arguments)
    {
        object?[] given = arguments.Bind("sum", "attribute?", "start?");
        object total = given[1] ?? BigInteger.Zero;
        if (Operators.AsText(total) is not null)
        {
            throw TemplateException.Failed("sum() can't sum strings [use ''.join(seq) instead]");
        }

        IEnumerable<object> items = Operators.Iterate(value);
        foreach (object item in given[0] is null or NoneValue ? items : items.Select(Getter(rendering, given[0])))
        {
            rendering.Step();
            total = rendering.Built(Operators.Binary(rendering, "+", total, item));
        }

        return total;
    }

    private static object Extreme(Rendering rendering, object value, Arguments arguments, string op)
    {
        object?[] given = arguments.Bind(op, "case_sensitive?", "attribute?");
        Func<object, object> getter = Getter(rendering, given[1], IsSet(given[0]));
        object? best = null, bestKey = null;
        foreach (object item in Operators.Iterate(value))
        {
            object key = getter(item);
            if (bestKey is null || Operators.Order(rendering, op, key, bestKey))
            {
                (best, bestKey) = (item, key);
            }
        }

        return best ?? new Undefined("No aggregated item, sequence was empty.");
    }

    private static IEnumerable<object> Unique(Rendering rendering, object value, Func<object, object> getter)
    {
        DictValue seen = new();
        foreach (object item in Operators.Iterate(value))
        {
            object key = getter(item);
            if (seen.Find(key) is null)
            {
                rendering.Build(64);
                seen.Set(key, NoneValue.Value);
                yield return item;
            }
        }
    }

    private static IEnumerable<object> Map(Rendering rendering, object value, Arguments arguments)
    {
        if (!Operators.IsTrue(value))
        {
            yield break;
        }

        Func<object, object> change;
        if (arguments.Positional.Count == 0 && arguments.Named.Any(pair => pair.Key == "attribute"))
        {
            object?[] given = arguments.Bind("map", "attribute", "default?");
            change = Getter(rendering, given[0], true, given[1]);
        }
        else
        {
            object name = arguments.Positional.FirstOrDefault() ?? throw TemplateException.Failed("map requires a filter argument");
            Filter filter = Get(Operators.AsText(name) ?? "");
            Arguments rest = new(arguments.Positional[1..], arguments.Named);
            change = item => filter(rendering, item, rest);
        }

        foreach (object item in Operators.Iterate(value))
        {
            rendering.Step();
            yield return rendering.Built(change(item));
        }
    }

    private static IEnumerable<object> Select(Rendering rendering, object value, Arguments arguments, bool wanted, bool byAttribute)
    {
        if (!Operators.IsTrue(value))
        {
            yield break;
        }

        int used = byAttribute ? 1 : 0;
        if (arguments.Positional.Count < used)
        {
            throw TemplateException.Failed("Missing parameter for attribute name");
        }

        Func<object, object> getter = byAttribute ? Getter(rendering, arguments.Positional[0]) : item => item;
        Func<object, bool> holds = Operators.IsTrue;
        if (arguments.Positional.Count > used)
        {
            Test test = Tests.Get(Operators.AsText(arguments.Positional[used]) ?? "");
            Arguments rest = new(arguments.Positional[(used + 1)..], arguments.Named);
            holds = item => test(rendering, item, rest);
        }

        foreach (object item in Operators.Iterate(value))
        {
            rendering.Step();
            if (holds(getter(item)) == wanted)
            {
                yield return item;
            }
        }
    }
}
