using System.Globalization;
using System.Numerics;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>The attributes of values, as far as Jinja's immutable sandbox lets a template read them.</summary>
internal static class Attributes
{
    private static readonly HashSet<string> ListMutators = ["append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"];

    private static readonly HashSet<string> DictMutators = ["clear", "pop", "popitem", "setdefault", "update"];

    // Attributes that every dict has in Python; keys of these names are reached with brackets only.
    private static readonly HashSet<string> DictSpecials =
    [
        .. "class class_getitem contains delattr delitem dir doc eq format ge getattribute getitem getstate gt hash init init_subclass ior iter le len lt ne new or reduce reduce_ex repr reversed ror setattr setitem sizeof str subclasshook"
            .Split(' ').Select(name => $"__{name}__"),
    ];

    private static readonly HashSet<string> UndefinedSpecials =
    [
        .. "add bool call class complex delattr dir div doc eq float floordiv format ge getattr getattribute getitem getstate gt hash init init_subclass int iter le len lt mod module mul ne neg new pos pow radd rdiv reduce reduce_ex repr rfloordiv rmod rmul rpow rsub rtruediv setattr sizeof slots str sub subclasshook truediv"
            .Split(' ').Select(name => $"__{name}__"),
    ];

    /// <returns>The attribute; an undefined value where reading it is not safe; null where there is none.</returns>
    /// <exception cref="TemplateException">The value is undefined.</exception>
    public static object? Find(Rendering rendering, object value, string name)
    {
        if (name.StartsWith('_'))
        {
            return FindHidden(value, name);
        }

        return value switch
        {
            string or Markup => Strings.Find(value, name),
            DictValue dict => OfDict(dict, name),
            ListValue list => ListMutators.Contains(name) ? Undefined.Unsafe(value, name) : OfSequence(list.Items, name, value),
            TupleValue tuple => tuple.Names.IndexOf(name) is var at && at >= 0 ? tuple.Items[at] : OfSequence(tuple.Items, name, value),
            LoopValue loop => loop.Find(name),
            NamespaceValue space => space.Attributes.Find(name),
            bool flag => OfInteger(flag ? 1 : 0, name),
            BigInteger number => OfInteger(number, name),
            double number => OfFloat(number, name),
            RangeValue range => OfRange(range, name),
            DictView view => OfView(rendering, view, name),
            Cycler cycler => OfCycler(cycler, name),
            Joiner joiner => name switch { "sep" => joiner.Separator, "used" => joiner.IsUsed, _ => null },
            Macro macro => macro.Find(name),
            BlockReference block => name == "name" ? block.Name : name == "super" ? new Undefined($"there is no parent block called '{block.Name}'.") : null,
            BytesValue bytes => OfBytes(bytes, name),
            Undefined undefined => throw undefined.Failure,
            Function { Name: "dict", Text: not null } => OfDict(new(), name),
            _ => null,
        };
    }

    private static object? FindHidden(object value, string name)
    {
        bool isSpecial = name.Length > 4 && name.StartsWith("__", StringComparison.Ordinal) && name.EndsWith("__", StringComparison.Ordinal);
        bool exists = value switch
        {
            DictValue => DictSpecials.Contains(name),
            NamespaceValue space => name == "__class__" || space.Attributes.Find(name) is not null,
            Undefined undefined => UndefinedSpecials.Contains(name) ? true : throw undefined.Failure,
            BlockNames => isSpecial || name == "_TemplateReference__context",
            _ => isSpecial,
        };
        return exists ? Undefined.Unsafe(value, name) : null;
    }

    private static object? OfDict(DictValue dict, string name) => name switch
    {
        "keys" or "values" or "items" => new Function(name, (_, arguments) => arguments.Only(name, 0, 0) is null ? dict : new DictView(dict, name)),
        "get" => new Function(name, (_, arguments) => arguments.Only(name, 1, 2) is var given && dict.Find(given[0]) is { } found ? found : given.Count > 1 ? given[1] : NoneValue.Value),
        "copy" => new Function(name, (rendering, arguments) =>
        {
            arguments.Only(name, 0, 0);
            DictValue copy = new();
            copy.SetAll(dict);
            return rendering.Built(copy);
        }),
        "fromkeys" => new Function(name, (rendering, arguments) =>
        {
            List<object> given = arguments.Only(name, 1, 2);
            DictValue made = new();
            foreach (object key in Operators.Counted(rendering, Operators.Iterate(given[0])))
            {
                made.Set(key, given.Count > 1 ? given[1] : NoneValue.Value);
            }

            return made;
        }),
        _ when DictMutators.Contains(name) => Undefined.Unsafe(dict, name),
        _ => null,
    };

    private static object? OfSequence(IReadOnlyList<object> items, string name, object owner) => name switch
    {
        "index" => new Function(name, (rendering, arguments) =>
        {
            List<object> given = arguments.Only(name, 1, owner is RangeValue ? 1 : 3);
            int from = given.Count > 1 ? From(given[1]) : 0, end = given.Count > 2 ? From(given[2]) : items.Count;
            for (int i = from; i < Math.Min(end, items.Count); i++)
            {
                rendering.Step();
                if (ReferenceEquals(items[i], given[0]) || Operators.AreEqual(rendering, items[i], given[0]))
                {
                    return (BigInteger)i;
                }
            }

            throw TemplateException.Failed("the value is not in the list");

            int From(object value) => Operators.Index(value) is var index && index < 0 ? Math.Max(0, index + items.Count) : index;
        }),
        "count" => new Function(name, (rendering, arguments) =>
        {
            object wanted = arguments.Only(name, 1, 1)[0];
            rendering.Step(items.Count);
            return (BigInteger)items.Count(item => ReferenceEquals(item, wanted) || Operators.AreEqual(rendering, item, wanted));
        }),
        "copy" when owner is ListValue => new Function(name, (rendering, arguments) => arguments.Only(name, 0, 0) is var _ ? rendering.Built(new ListValue(items)) : owner),
        _ => null,
    };

    private static object? OfInteger(BigInteger number, string name) => name switch
    {
        "real" or "numerator" => number,
        "imag" => BigInteger.Zero,
        "denominator" => BigInteger.One,
        "bit_length" => Of(name, () => (BigInteger)BigInteger.Abs(number).GetBitLength()),
        "bit_count" => Of(name, () => (BigInteger)BigInteger.Abs(number).ToByteArray().Sum(b => BitOperations.PopCount(b))),
        "conjugate" => Of(name, () => number),
        "as_integer_ratio" => Of(name, () => new TupleValue([number, BigInteger.One])),
        "to_bytes" or "from_bytes" => throw TemplateException.Unsupported($"int.{name}"),
        _ => null,
    };

    private static object? OfFloat(double number, string name) => name switch
    {
        "real" => number,
        "imag" => 0.0,
        "is_integer" => Of(name, () => double.IsInteger(number)),
        "conjugate" => Of(name, () => number),
        "as_integer_ratio" or "hex" or "fromhex" => throw TemplateException.Unsupported($"float.{name}"),
        _ => null,
    };

    private static object? OfRange(RangeValue range, string name) => name switch
    {
        "start" => range.Start,
        "stop" => range.Stop,
        "step" => range.Step,
        "index" or "count" => OfSequence([.. range.Items()], name, range),
        _ => null,
    };

    private static object? OfView(Rendering rendering, DictView view, string name) => name switch
    {
        "mapping" => throw TemplateException.Unsupported("the attribute mapping of a view"),
        "isdisjoint" when view.Kind != "values" => new Function(name, (_, arguments) => !Operators.Counted(rendering, Operators.Iterate(arguments.Only(name, 1, 1)[0])).Any(item => Operators.Contains(rendering, view, item))),
        _ => null,
    };

    private static object? OfCycler(Cycler cycler, string name) => name switch
    {
        "current" => cycler.Current,
        "next" => Of(name, cycler.Next),
        "reset" => Of(name, () =>
        {
            cycler.Reset();
            return NoneValue.Value;
        }),
        "items" => new TupleValue([.. cycler.Items]),
        "pos" => (BigInteger)cycler.Position,
        _ => null,
    };

    private static object? OfBytes(BytesValue bytes, string name) => name switch
    {
        "decode" => new Function(name, (_, arguments) => arguments.Bind(name, "encoding?", "errors?").All(given => given is null || (given is string text && text.ToUpperInvariant() is "UTF-8" or "UTF8"))
            ? Encoding.UTF8.GetString(bytes.Bytes) : throw TemplateException.Unsupported("another encoding than utf-8")),
        "hex" => Of(name, () => Convert.ToHexString(bytes.Bytes).ToLower(CultureInfo.InvariantCulture)),
        _ => throw TemplateException.Unsupported($"bytes.{name}"),
    };

    private static Function Of(string name, Func<object> value) => new(name, (_, arguments) => arguments.Only(name, 0, 0) is var _ ? value() : NoneValue.Value);
}
