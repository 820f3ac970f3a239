using System.Globalization;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// The key-value pairs of a GGUF file. A value that is missing or wrong is refused with an <see cref="EngineError.InvalidModelFolder"/> that
/// names the file, the key, the value and what is accepted.
/// </summary>
/// <param name="Values">Numbers, bool and string, and arrays of these.</param>
internal sealed record GgufMetadata(string Path, IReadOnlyDictionary<string, object> Values)
{
    private const int ShownCharacters = 80;

    public object? Find(string key) => Values.GetValueOrDefault(key);

    public string? FindText(string key) => Find(key) switch
    {
        null => null,
        string text => text,
        _ => throw Wrong(key, "a string"),
    };

    public string Text(string key) => FindText(key) ?? throw Wrong(key, "a string");

    public bool? FindFlag(string key) => Find(key) switch
    {
        null => null,
        bool flag => flag,
        _ => throw Wrong(key, "true or false"),
    };

    /// <summary>An integer of any width.</summary>
    public int? FindInteger(string key, int from = int.MinValue, int to = int.MaxValue) =>
        Find(key) is not { } value ? null
        : Integer(value) is { } number && number >= from && number <= to ? (int)number
        : throw Wrong(key, Range(from, to));

    public int Integer(string key, int from = int.MinValue, int to = int.MaxValue) => FindInteger(key, from, to) ?? throw Wrong(key, Range(from, to));

    public double? FindNumber(string key) => Find(key) switch
    {
        null => null,
        float number when float.IsFinite(number) => number,
        double number when double.IsFinite(number) => number,
        _ => throw Wrong(key, "a finite number"),
    };

    public string[]? FindTexts(string key) => Find(key) switch
    {
        null => null,
        string[] texts => texts,
        _ => throw Wrong(key, "an array of strings"),
    };

    public string[] Texts(string key) => FindTexts(key) ?? throw Wrong(key, "an array of strings");

    public float[]? FindNumbers(string key) => Find(key) switch
    {
        null => null,
        float[] numbers => numbers,
        double[] numbers => System.Array.ConvertAll(numbers, number => (float)number),
        int[] numbers => System.Array.ConvertAll(numbers, number => (float)number),
        _ => throw Wrong(key, "an array of numbers"),
    };

    /// <summary>One integer or an array of them.</summary>
    public int[]? FindIntegers(string key, int from, int to)
    {
        if (Find(key) is not { } value)
        {
            return null;
        }

        object[] items = value is Array array and not string[]? [.. array.Cast<object>()] : [value];
        return [.. items.Select(item => Integer(item) is { } number && number >= from && number <= to ? (int)number : throw Wrong(key, $"{Range(from, to)}, or an array of such"))];
    }

    public EngineException Wrong(string key, string accepted) => EngineException.InFile(Path, $"{key} is {Shown(Find(key))}; accepted is {accepted}.", key);

    private static Int128? Integer(object value) => value switch
    {
        byte number => number,
        sbyte number => number,
        ushort number => number,
        short number => number,
        uint number => number,
        int number => number,
        ulong number => number,
        long number => number,
        _ => null,
    };

    private static string Shown(object? value) => value switch
    {
        null => "missing",
        string { Length: > ShownCharacters } text => $"'{text[..ShownCharacters]}...' ({text.Length} characters)",
        string text => $"'{text}'",
        Array array => string.Create(CultureInfo.InvariantCulture, $"an array of {array.Length} {array.GetType().GetElementType()!.Name}"),
        bool flag => flag ? "true" : "false",
        _ => string.Create(CultureInfo.InvariantCulture, $"{value}"),
    };

    private static string Range(int from, int to) => (from, to) switch
    {
        (int.MinValue, int.MaxValue) => "an integer",
        (_, int.MaxValue) => string.Create(CultureInfo.InvariantCulture, $"an integer of at least {from}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"an integer from {from} to {to}"),
    };
}
