using System.Numerics;

namespace ProxyTune.Decoding.Text;

/// <summary>Whether something holds for a value.</summary>
internal delegate bool Test(Rendering rendering, object value, Arguments arguments);

/// <summary>Jinja's tests, which stand behind <c>is</c>.</summary>
internal static class Tests
{
    private static readonly Dictionary<string, Test> All = new()
    {
        ["odd"] = (r, value, a) => Remainder(r, value, BigInteger.One + BigInteger.One, a, BigInteger.One),
        ["even"] = (r, value, a) => Remainder(r, value, BigInteger.One + BigInteger.One, a, BigInteger.Zero),
        ["divisibleby"] = (r, value, a) => Remainder(r, value, a.Bind("divisibleby", "num")[0]!, Arguments.None, BigInteger.Zero),
        ["defined"] = Plain(value => value is not Undefined),
        ["undefined"] = Plain(value => value is Undefined),
        ["none"] = Plain(value => value is NoneValue),
        ["boolean"] = Plain(value => value is bool),
        ["false"] = Plain(value => value is false),
        ["true"] = Plain(value => value is true),
        ["integer"] = Plain(value => value is BigInteger),
        ["float"] = Plain(value => value is double),
        ["number"] = Plain(value => value is bool or BigInteger or double),
        ["string"] = Plain(value => value is string or Markup),
        ["mapping"] = Plain(value => value is DictValue),
        ["iterable"] = Plain(Operators.IsIterable),
        ["sequence"] = Plain(value => value is string or Markup or ListValue or TupleValue or DictValue or RangeValue or Undefined or BytesValue),
        ["callable"] = Plain(value => value is ICallable or Undefined or LoopValue),
        ["escaped"] = Plain(value => value is Markup),
        ["filter"] = (_, value, a) => a.Only("filter", 0, 0) is not null && Operators.AsText(DictValue.Hashable(value)) is { } name && (Filters.Find(name) is not null || Filters.Unsupported.Contains(name)),
        ["test"] = (_, value, a) => a.Only("test", 0, 0) is not null && Operators.AsText(DictValue.Hashable(value)) is { } name && All!.ContainsKey(name),
        ["lower"] = (r, value, a) => a.Only("lower", 0, 0) is not null && Strings.IsLower(Printing.Text(r, value)),
        ["upper"] = (r, value, a) => a.Only("upper", 0, 0) is not null && Strings.IsUpper(Printing.Text(r, value)),
        ["sameas"] = (_, value, a) => IsSame(value, a.Bind("sameas", "other")[0]!),
        ["in"] = (r, value, a) => Operators.Contains(r, a.Bind("in", "seq")[0]!, value),
        ["=="] = Comparison("=="),
        ["eq"] = Comparison("=="),
        ["equalto"] = Comparison("=="),
        ["!="] = Comparison("!="),
        ["ne"] = Comparison("!="),
        [">"] = Comparison(">"),
        ["gt"] = Comparison(">"),
        ["greaterthan"] = Comparison(">"),
        [">="] = Comparison(">="),
        ["ge"] = Comparison(">="),
        ["<"] = Comparison("<"),
        ["lt"] = Comparison("<"),
        ["lessthan"] = Comparison("<"),
        ["<="] = Comparison("<="),
        ["le"] = Comparison("<="),
    };

    public static Test? Find(string name) => All.GetValueOrDefault(name);

    /// <exception cref="TemplateException">No such test.</exception>
    public static Test Get(string name) => Find(name) ?? throw TemplateException.Failed($"No test named '{name}' found.");

    private static Test Plain(Func<object, bool> holds) => (_, value, arguments) => arguments.Only("test", 0, 0) is not null && holds(value);

    private static Test Comparison(string op) => (rendering, value, arguments) => Operators.Compare(rendering, op, value, arguments.Only(op, 1, 1)[0]);

    private static bool Remainder(Rendering rendering, object value, object divisor, Arguments arguments, BigInteger wanted)
    {
        arguments.Only("test", 0, 0);
        return Operators.AreEqual(rendering, Operators.Binary(rendering, "%", value, divisor), wanted);
    }

    // Python shares small integers and texts of constants; others are the same only if they are one object.
    private static bool IsSame(object value, object other) => ReferenceEquals(value, other) || (value, other) switch
    {
        (bool a, bool b) => a == b,
        (BigInteger a, BigInteger b) => a == b && a >= -5 && a <= 256,
        (string { Length: <= 1 } a, string { Length: <= 1 } b) => a == b,
        (BigInteger or string or double, BigInteger or string or double) when Operators.AreEqual(null, value, other) && value.GetType() == other.GetType() =>
            throw TemplateException.Unsupported("the test sameas of equal texts or numbers, which differs between Pythons,"),
        (TupleValue { Items.Length: 0 }, TupleValue { Items.Length: 0 }) => true,
        _ => false,
    };
}
