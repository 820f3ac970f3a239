using System.Numerics;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>Python's operators on the values of templates.</summary>
internal static partial class Operators
{
    public static BigInteger? AsInteger(object? value) => value is BigInteger number ? number : value is bool flag ? (flag ? BigInteger.One : BigInteger.Zero) : null;

    /// <exception cref="TemplateException">It is no integer.</exception>
    public static BigInteger Integer(object? value) => value is Undefined undefined ? throw undefined.Failure
        : AsInteger(value) ?? throw TemplateException.Failed($"'{Printing.TypeName(value!)}' object cannot be interpreted as an integer");

    /// <summary>An integer within the range of int; a larger one counts as the end of it.</summary>
    public static int Index(object? value) => (int)BigInteger.Min(int.MaxValue, BigInteger.Max(int.MinValue, Integer(value)));

    public static double? AsDouble(object? value) => value is double number ? number : AsInteger(value) is { } integer ? PythonNumber.ToDouble(integer) : null;

    public static object Binary(Rendering rendering, string op, object left, object right)
    {
        Refuse(left);
        if (op != "%" || AsText(left) is null)
        {
            Refuse(right);
        }

        if (AsInteger(left) is { } i && AsInteger(right) is { } j)
        {
            return Integers(op, i, j);
        }

        if (left is double or bool or BigInteger && right is double or bool or BigInteger)
        {
            return Doubles(op, AsDouble(left)!.Value, AsDouble(right)!.Value);
        }

        return (op, left, right) switch
        {
            ("+", string a, string b) => rendering.Join(a, b),
            ("+", string or Markup, string or Markup) => new Markup(rendering.Join(Html.Escaped(left), Html.Escaped(right))),
            ("+", ListValue a, ListValue b) => new ListValue(Counted(rendering, a.Items.Count + b.Items.Count, [.. a.Items, .. b.Items])),
            ("+", TupleValue a, TupleValue b) => new TupleValue([.. Counted(rendering, a.Items.Length + b.Items.Length, [.. a.Items, .. b.Items])]),
            ("*", _, _) when AsInteger(right) is { } times && IsSequence(left) => Repeat(rendering, left, times),
            ("*", _, _) when AsInteger(left) is { } times && IsSequence(right) => Repeat(rendering, right, times),
            ("%", string text, _) => PercentFormat.Format(rendering, text, right),
            ("%", Markup text, _) => new Markup(PercentFormat.Format(rendering, text.Text, right, escapes: true)),
            _ => throw TemplateException.Failed(op == "+" && AsText(left) is not null ? $"can only concatenate str (not \"{Printing.TypeName(right)}\") to str"
                : $"unsupported operand type(s) for {op}: '{Printing.TypeName(left)}' and '{Printing.TypeName(right)}'"),
        };
    }

    public static object Negate(object value)
    {
        Refuse(value);
        return value is double number ? -number : AsInteger(value) is { } integer ? -integer : throw TemplateException.Failed($"bad operand type for unary -: '{Printing.TypeName(value)}'");
    }

    public static object Plus(object value)
    {
        Refuse(value);
        return value is double ? value : AsInteger(value) is { } integer ? integer : throw TemplateException.Failed($"bad operand type for unary +: '{Printing.TypeName(value)}'");
    }

    /// <exception cref="TemplateException">The value is undefined.</exception>
    public static void Refuse(object value)
    {
        if (value is Undefined undefined)
        {
            throw undefined.Failure;
        }
    }

    public static bool Compare(Rendering rendering, string op, object left, object right) => op switch
    {
        "==" => AreEqual(rendering, left, right),
        "!=" => !AreEqual(rendering, left, right),
        "in" => Contains(rendering, right, left),
        "not in" => !Contains(rendering, right, left),
        _ => Order(rendering, op, left, right),
    };

    /// <param name="rendering">Counts the steps; null where keys are compared.</param>
    public static bool AreEqual(Rendering? rendering, object a, object b)
    {
        rendering?.Reads(a);
        if (a is string text && b is string other)
        {
            return text == other;
        }

        if (AsText(a) is { } left)
        {
            return AsText(b) == left;
        }

        if (a is bool or BigInteger or double)
        {
            return b is bool or BigInteger or double && CompareNumbers(a, b) == 0;
        }

        return (a, b) switch
        {
            (Undefined, Undefined) => true,
            (ListValue x, ListValue y) => ReferenceEquals(x, y) || Sequences(rendering, x.Items, y.Items),
            (TupleValue x, TupleValue y) => ReferenceEquals(x, y) || Sequences(rendering, x.Items, y.Items),
            (DictValue x, DictValue y) => ReferenceEquals(x, y) || Dicts(rendering, x, y),
            (RangeValue x, RangeValue y) => x.Length == y.Length && (x.Length.IsZero || (x.Start == y.Start && (x.Length.IsOne || x.Step == y.Step))),
            (DictView x, DictView y) when x.Kind == y.Kind && x.Kind != "values" => x.Dict.Items.Count == y.Dict.Items.Count && x.Items().All(item => Contains(rendering, y, item)),
            (BytesValue x, BytesValue y) => x.Bytes.AsSpan().SequenceEqual(y.Bytes),
            _ => ReferenceEquals(a, b),
        };
    }

    /// <summary>-1, 0 or 1; null where one is not a number. Exact for any integers and floats.</summary>
    public static int? CompareNumbers(object a, object b)
    {
        if (AsInteger(a) is { } i && AsInteger(b) is { } j)
        {
            return i.CompareTo(j);
        }

        if (a is double x && b is double y)
        {
            return double.IsNaN(x) || double.IsNaN(y) ? null : x.CompareTo(y);
        }

        double number = a is double d ? d : (double)b;
        int sign = a is double ? -1 : 1;
        if (!double.IsFinite(number))
        {
            return double.IsNaN(number) ? null : number > 0 ? -sign : sign;
        }

        BigInteger integer = AsInteger(a) ?? AsInteger(b)!.Value;
        BigInteger floor = new(Math.Floor(number));
        int order = integer.CompareTo(floor);
        return sign * (order == 0 && !double.IsInteger(number) ? -1 : order);
    }

    public static bool Contains(Rendering? rendering, object container, object item)
    {
        switch (container)
        {
            case string or Markup:
                string text = AsText(container)!, part = AsText(item) ?? throw TemplateException.Failed($"'in <string>' requires string as left operand, not {Printing.TypeName(item)}");
                Strings.CountSearch(rendering, text, part);
                return text.Contains(part, StringComparison.Ordinal);
            case DictValue dict:
                return dict.Find(item) is not null;
            case DictView { Kind: "keys" } view:
                return view.Dict.Find(item) is not null;
            case RangeValue range when AsInteger(item) is { } number:
                return !range.Length.IsZero && PythonNumber.FloorDivide(number - range.Start, range.Step) is var index && index.Sign >= 0 && index < range.Length && (BigInteger)range.At(index) == number;
            default:
                foreach (object one in Iterate(container))
                {
                    rendering?.Step();
                    if (ReferenceEquals(one, item) || AreEqual(rendering, one, item))
                    {
                        return true;
                    }
                }

                return false;
        }
    }

    /// <summary>a &lt; b, and so on; sorting uses only this.</summary>
    public static bool Order(Rendering rendering, string op, object a, object b)
    {
        Refuse(a);
        Refuse(b);
        rendering.Step();
        rendering.Reads(a);
        if (a is bool or BigInteger or double && b is bool or BigInteger or double)
        {
            return CompareNumbers(a, b) is { } order && Holds(op, order);
        }

        if (AsText(a) is { } left && AsText(b) is { } right)
        {
            return Holds(op, CompareTexts(left, right));
        }

        (IReadOnlyList<object>? x, IReadOnlyList<object>? y) = (a, b) switch
        {
            (ListValue p, ListValue q) => (p.Items, q.Items),
            (TupleValue p, TupleValue q) => (p.Items, q.Items),
            _ => ((IReadOnlyList<object>?)null, (IReadOnlyList<object>?)null),
        };
        if (x is null)
        {
            throw TemplateException.Failed($"'{op}' not supported between instances of '{Printing.TypeName(a)}' and '{Printing.TypeName(b)}'");
        }

        rendering.Enter();
        for (int i = 0; i < x.Count && i < y!.Count; i++)
        {
            rendering.Step();
            if (!ReferenceEquals(x[i], y[i]) && !AreEqual(rendering, x[i], y[i]))
            {
                bool holds = Order(rendering, op, x[i], y[i]);
                rendering.Leave();
                return holds;
            }
        }

        rendering.Leave();
        return Holds(op, x.Count.CompareTo(y!.Count));
    }

    // By characters, not by UTF-16 units.
    private static int CompareTexts(string a, string b)
    {
        int at = a.AsSpan().CommonPrefixLength(b);
        if (at == a.Length || at == b.Length)
        {
            return a.Length.CompareTo(b.Length);
        }

        bool first = char.IsSurrogate(a[at]), second = char.IsSurrogate(b[at]);
        return first == second ? a[at].CompareTo(b[at]) : first ? 1 : -1;
    }

    private static bool Holds(string op, int order) => op switch { "<" => order < 0, "<=" => order <= 0, ">" => order > 0, _ => order >= 0 };

    private static bool Sequences(Rendering? rendering, IReadOnlyList<object> x, IReadOnlyList<object> y)
    {
        if (x.Count != y.Count)
        {
            return false;
        }

        rendering?.Enter();
        bool areEqual = true;
        for (int i = 0; areEqual && i < x.Count; i++)
        {
            rendering?.Step();
            areEqual = ReferenceEquals(x[i], y[i]) || AreEqual(rendering, x[i], y[i]);
        }

        rendering?.Leave();
        return areEqual;
    }

    private static bool Dicts(Rendering? rendering, DictValue x, DictValue y)
    {
        if (x.Items.Count != y.Items.Count)
        {
            return false;
        }

        rendering?.Enter();
        bool areEqual = x.Items.All(pair =>
        {
            rendering?.Step();
            return y.Find(pair.Key) is { } other && (ReferenceEquals(pair.Value, other) || AreEqual(rendering, pair.Value, other));
        });
        rendering?.Leave();
        return areEqual;
    }

    private static object Integers(string op, BigInteger a, BigInteger b)
    {
        BigInteger result;
        switch (op)
        {
            case "+":
                result = a + b;
                break;
            case "-":
                result = a - b;
                break;
            case "*":
                CheckBits(a.GetBitLength() + b.GetBitLength());
                result = a * b;
                break;
            case "/":
                return PythonNumber.Divide(a, b);
            case "//":
                result = PythonNumber.FloorDivide(a, b);
                break;
            case "%":
                result = a - (PythonNumber.FloorDivide(a, b) * b);
                break;
            default:
                if (b.Sign < 0)
                {
                    return Doubles(op, PythonNumber.ToDouble(a), PythonNumber.ToDouble(b));
                }

                CheckBits(BigInteger.Abs(a) <= 1 ? 1 : b > PythonNumber.MaxBits ? long.MaxValue : a.GetBitLength() * (long)b);
                result = BigInteger.Abs(a) <= 1 ? (a.Sign < 0 && b.IsEven ? BigInteger.One : b.IsZero ? BigInteger.One : a) : BigInteger.Pow(a, (int)b);
                break;
        }

        return result;
    }

    private static void CheckBits(long bits)
    {
        if (bits > PythonNumber.MaxBits)
        {
            throw TemplateException.Limit($"computes an integer of more than {PythonNumber.MaxBits} bits");
        }
    }

    private static object Doubles(string op, double a, double b)
    {
        switch (op)
        {
            case "+":
                return a + b;
            case "-":
                return a - b;
            case "*":
                return a * b;
            case "/":
                return b == 0 ? throw TemplateException.Failed("float division by zero") : a / b;
            case "//":
                return PythonNumber.FloorDivide(a, b);
            case "%":
                return PythonNumber.Modulo(a, b);
            default:
                if (a == 0 && b < 0)
                {
                    throw TemplateException.Failed("0.0 cannot be raised to a negative power");
                }

                if (a < 0 && double.IsFinite(a) && double.IsFinite(b) && !double.IsInteger(b))
                {
                    throw TemplateException.Unsupported("a complex number");
                }

                double power = a == 1 || b == 0 ? 1 : Math.Pow(a, b);
                return double.IsInfinity(power) && double.IsFinite(a) && double.IsFinite(b) ? throw TemplateException.Failed("Result too large") : power;
        }
    }

    private static bool IsSequence(object value) => value is string or Markup or ListValue or TupleValue or BytesValue;

    private static List<object> Counted(Rendering rendering, long count, List<object> items)
    {
        rendering.Step(count >> 4);
        rendering.Build(8 * count);
        return items;
    }

    private static object Repeat(Rendering rendering, object sequence, BigInteger times)
    {
        if (BigInteger.Abs(times) > long.MaxValue)
        {
            throw TemplateException.Failed("cannot fit 'int' into an index-sized integer");
        }

        double factor = Math.Max(0, (double)times);
        if (AsText(sequence) is { } text)
        {
            rendering.BuildText(text.Length * factor);
            string repeated = factor == 0 || text.Length == 0 ? "" : new StringBuilder(text.Length * (int)factor).Insert(0, text, (int)factor).ToString();
            return sequence is Markup ? new Markup(repeated) : repeated;
        }

        IReadOnlyList<object> items = sequence switch { ListValue list => list.Items, TupleValue tuple => tuple.Items, _ => throw TemplateException.Unsupported("repetition of bytes") };
        rendering.BuildText(4 * items.Count * factor);
        rendering.Step((long)(items.Count * factor) >> 4);
        IEnumerable<object> all = items.Count == 0 ? [] : Enumerable.Repeat(items, (int)factor).SelectMany(part => part);
        return sequence is ListValue ? new ListValue(all) : new TupleValue([.. all]);
    }
}
