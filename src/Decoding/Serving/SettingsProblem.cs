using System.Globalization;
using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Serving;

/// <summary>Makes the error of a wrong setting, whoever wrote it: a request (<c>fusion.mask.p</c>) or the catalog (file, entry, <c>mask.p</c>).</summary>
/// <param name="make">From the field's name below fusion, and what is wrong with it, to the exception.</param>
internal sealed class SettingsProblem(Func<string, string, EngineException> make)
{
    public static SettingsProblem InRequest { get; } = new((field, what) => new(EngineError.InvalidValue, $"fusion.{field} {what}", $"fusion.{field}"));

    public EngineException At(string field, object? value, string accepted) =>
        make(field, value is null ? $"is missing; accepted is {accepted}." : string.Create(CultureInfo.InvariantCulture, $"is {Written(value)}; accepted is {accepted}."));

    private static object Written(object value) => value switch
    {
        string text => $"'{text}'",
        bool truth => truth ? "true" : "false",
        _ => value,
    };
}
