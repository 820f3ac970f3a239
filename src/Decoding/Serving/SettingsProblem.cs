using System.Globalization;
using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Serving;

/// <summary>Makes the error of a wrong setting, of a request (<c>fusion.mask.p</c>) or of the catalogue (file, entry, <c>mask.p</c>).</summary>
/// <param name="make">Makes the exception from the field's name below fusion and the rest of the message.</param>
internal sealed class SettingsProblem(Func<string, string, EngineException> make)
{
    public static SettingsProblem InRequest { get; } = new((field, what) => new(EngineError.InvalidValue, $"fusion.{field} {what}", $"fusion.{field}"));

    public EngineException At(string field, object? value, string accepted) =>
        make(field, value is null ? $"is missing; accepted is {accepted}." : string.Create(CultureInfo.InvariantCulture, $"is {Written(value)}; accepted is {accepted}."));

    /// <param name="field">An object from names to values.</param>
    /// <param name="name">A name in it that is not accepted.</param>
    public EngineException UnknownName(string field, string name, string accepted) => make($"{field}.{name}", $"has the name '{name}'; accepted are {accepted}.");

    private static object Written(object value) => value switch
    {
        string text => $"'{text}'",
        bool truth => truth ? "true" : "false",
        _ => value,
    };
}
