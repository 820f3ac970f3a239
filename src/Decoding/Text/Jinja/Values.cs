using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Text.Json;

namespace ProxyTune.Decoding.Text;

// A value of a template is one of: NoneValue, bool, BigInteger, double, string, and the classes below.

/// <summary>Python's None.</summary>
internal sealed class NoneValue
{
    public static readonly NoneValue Value = new();

    private NoneValue()
    {
    }
}

/// <summary>What a name or attribute that does not exist gives. It prints as nothing, and most uses of it fail.</summary>
internal sealed class Undefined(string message)
{
    public TemplateException Failure => TemplateException.Failed(message);

    public static Undefined Of(object owner, object name) => new(name is string text
        ? $"'{Printing.TypeName(owner)} object' has no attribute '{text}'"
        : $"{Printing.TypeName(owner)} object has no such element");

    public static Undefined Unsafe(object owner, string name) => new($"access to attribute '{name}' of '{Printing.TypeName(owner)}' object is unsafe.");
}

/// <summary>A text that is safe in HTML; what it is joined with is escaped.</summary>
internal sealed record Markup(string Text);

/// <summary>A list.</summary>
internal sealed class ListValue(List<object> items)
{
    public ListValue(IEnumerable<object> items)
        : this([.. items])
    {
    }

    public List<object> Items => items;
}

/// <summary>A tuple.</summary>
/// <param name="names">Names of the elements, as a group of groupby has.</param>
internal sealed class TupleValue(object[] items, string[]? names = null)
{
    public object[] Items => items;

    public string[] Names => names ?? [];
}

/// <summary>A dict: pairs in the order in which their keys came first.</summary>
internal sealed class DictValue
{
    public OrderedDictionary<object, object> Items { get; } = new(KeyComparer.Instance);

    /// <exception cref="TemplateException">The key cannot be one.</exception>
    public object? Find(object key) => Items.TryGetValue(Hashable(key), out object? value) ? value : null;

    public void Set(object key, object value) => Items[Hashable(key)] = value;

    public void SetAll(DictValue other)
    {
        foreach ((object key, object value) in other.Items)
        {
            Items[key] = value;
        }
    }

    public static object Hashable(object key) => key switch
    {
        ListValue or DictValue or DictView { Kind: not "values" } => throw TemplateException.Failed($"unhashable type: '{Printing.TypeName(key)}'"),
        TupleValue tuple => tuple.Items.All(item => Hashable(item) is not null) ? tuple : tuple,
        _ => key,
    };
}

/// <summary>Equality of keys, as Python's: 1, 1.0 and True are one key.</summary>
internal sealed class KeyComparer : IEqualityComparer<object>
{
    public static readonly KeyComparer Instance = new();

    public new bool Equals(object? x, object? y) => ReferenceEquals(x, y) || (x is string a && y is string b ? a == b : Operators.AreEqual(null, x!, y!));

    public int GetHashCode([DisallowNull] object obj) => obj switch
    {
        string text => text.GetHashCode(StringComparison.Ordinal),
        Markup markup => markup.Text.GetHashCode(StringComparison.Ordinal),
        bool flag => (flag ? BigInteger.One : BigInteger.Zero).GetHashCode(),
        double number => double.IsInteger(number) ? new BigInteger(number).GetHashCode() : number.GetHashCode(),
        TupleValue tuple => tuple.Items.Aggregate(17, (hash, item) => HashCode.Combine(hash, GetHashCode(item))),
        Undefined => 1,
        _ => obj.GetHashCode(),
    };
}

/// <summary>What keys(), values() and items() of a dict give.</summary>
internal sealed record DictView(DictValue Dict, string Kind)
{
    public IEnumerable<object> Items() => Kind switch
    {
        "keys" => Dict.Items.Keys,
        "values" => Dict.Items.Values,
        _ => Dict.Items.Select(pair => (object)new TupleValue([pair.Key, pair.Value])),
    };
}

/// <summary>What range() gives.</summary>
internal sealed record RangeValue(BigInteger Start, BigInteger Stop, BigInteger Step)
{
    /// <summary>The longest range, as Jinja's sandbox has it.</summary>
    public const int MaxLength = 100_000;

    public BigInteger Length => Step.Sign > 0
        ? BigInteger.Max(0, PythonNumber.FloorDivide(Stop - Start + Step - 1, Step))
        : BigInteger.Max(0, PythonNumber.FloorDivide(Start - Stop - Step - 1, -Step));

    public object At(BigInteger index) => Start + (index * Step);

    public IEnumerable<object> Items()
    {
        BigInteger length = Length;
        for (BigInteger i = 0; i < length; i++)
        {
            yield return At(i);
        }
    }
}

/// <summary>A generator or iterator: it gives its values once.</summary>
internal sealed class IteratorValue(IEnumerable<object> items, string type = "generator") : IEnumerable<object>
{
    private readonly IEnumerator<object> items = items.GetEnumerator();

    public string Type => type;

    public bool TryNext([NotNullWhen(true)] out object? item)
    {
        bool has = items.MoveNext();
        item = has ? items.Current : null;
        return has;
    }

    public IEnumerator<object> GetEnumerator()
    {
        while (TryNext(out object? item))
        {
            yield return item;
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>What namespace() gives: the one object whose attributes a template may set.</summary>
internal sealed record NamespaceValue(DictValue Attributes);

/// <summary>A text as bytes.</summary>
internal sealed record BytesValue(byte[] Bytes);

/// <summary>What a call gives to what it calls.</summary>
internal sealed class Arguments(List<object> positional, List<KeyValuePair<string, object>> named)
{
    public static readonly Arguments None = new([], []);

    public List<object> Positional => positional;

    public List<KeyValuePair<string, object>> Named => named;

    /// <summary>Puts the arguments in the order of the parameters.</summary>
    /// <param name="parameters">A name with a question mark may be missing; a slash says that names before it are of no use to a caller.</param>
    /// <exception cref="TemplateException">One is missing, unknown or given twice.</exception>
    public object?[] Bind(string function, params ReadOnlySpan<string> parameters)
    {
        int slash = parameters.IndexOf("/");
        ReadOnlySpan<string> names = slash < 0 ? parameters : [.. parameters[..slash], .. parameters[(slash + 1)..]];
        if (positional.Count > names.Length)
        {
            throw TemplateException.Failed($"{function}() takes at most {names.Length} arguments ({positional.Count} given)");
        }

        object?[] values = [.. positional, .. new object?[names.Length - positional.Count]];
        foreach ((string name, object value) in named)
        {
            int at = Math.Max(names.IndexOf(name), names.IndexOf(name + "?"));
            if (at < Math.Max(slash, 0))
            {
                throw TemplateException.Failed($"{function}() got an unexpected keyword argument '{name}'");
            }

            values[at] = values[at] is null ? value : throw TemplateException.Failed($"{function}() got multiple values for argument '{name}'");
        }

        for (int i = 0; i < names.Length; i++)
        {
            if (values[i] is null && !names[i].EndsWith('?'))
            {
                throw TemplateException.Failed($"{function}() missing required argument '{names[i]}'");
            }
        }

        return values;
    }

    /// <exception cref="TemplateException">There are named arguments, or not as many others as allowed.</exception>
    public List<object> Only(string function, int min, int max)
    {
        if (named.Count > 0)
        {
            throw TemplateException.Failed($"{function}() takes no keyword arguments");
        }

        return positional.Count >= min && positional.Count <= max ? positional
            : throw TemplateException.Failed($"{function}() expects {(min == max ? $"{min}" : $"{min} to {max}")} arguments, got {positional.Count}");
    }
}

/// <summary>A value that can be called.</summary>
internal interface ICallable
{
    object Call(Rendering rendering, Arguments arguments);
}

/// <summary>A built-in function, method or type.</summary>
/// <param name="text">How it prints; null for what prints an address in Python.</param>
internal sealed class Function(string name, Func<Rendering, Arguments, object> body, string? text = null) : ICallable
{
    public string Name => name;

    public string? Text => text;

    public object Call(Rendering rendering, Arguments arguments) => body(rendering, arguments);
}

/// <summary>What cycler() gives.</summary>
internal sealed class Cycler(List<object> items)
{
    private int at;

    public List<object> Items => items;

    public int Position => at;

    public object Current => items[at];

    public object Next()
    {
        object current = Current;
        at = (at + 1) % items.Count;
        return current;
    }

    public void Reset() => at = 0;
}

/// <summary>What joiner() gives: a separator from the second call on.</summary>
internal sealed class Joiner(object separator) : ICallable
{
    private bool isUsed;

    public object Separator => separator;

    public bool IsUsed => isUsed;

    public object Call(Rendering rendering, Arguments arguments)
    {
        arguments.Only("joiner", 0, 0);
        (bool used, isUsed) = (isUsed, true);
        return used ? separator : "";
    }
}

/// <summary>Values from JSON.</summary>
internal static class JsonValues
{
    /// <summary>Whole numbers with a decimal point or an exponent become doubles, as in Python.</summary>
    public static object Read(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                DictValue dict = new();
                foreach (JsonProperty property in element.EnumerateObject())
                {
                    dict.Set(property.Name, Read(property.Value));
                }

                return dict;
            case JsonValueKind.Array:
                return new ListValue(element.EnumerateArray().Select(Read));
            case JsonValueKind.String:
                return element.GetString()!;
            case JsonValueKind.Number:
                string text = element.GetRawText();
                return text.AsSpan().IndexOfAny(".eE") < 0
                    ? text[0] == '-' ? -PythonNumber.ParseInteger(text[1..], 10) : PythonNumber.ParseInteger(text, 10)
                    : element.GetDouble();
            case JsonValueKind.True or JsonValueKind.False:
                return element.ValueKind == JsonValueKind.True;
            default:
                return NoneValue.Value;
        }
    }

    /// <summary>A measure of the characters and values in it.</summary>
    public static long Size(object value) => value switch
    {
        string text => text.Length + 1,
        ListValue list => 1 + list.Items.Sum(Size),
        DictValue dict => 1 + dict.Items.Sum(pair => Size(pair.Key) + Size(pair.Value)),
        _ => 1,
    };
}
