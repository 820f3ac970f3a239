using System.Globalization;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>Refuses settings outside their range; the message names the setting, its value and what is accepted. NaN is outside every range.</summary>
internal static class RangeCheck
{
    /// <param name="accepted">The range in words, where they say more than the two numbers.</param>
    /// <exception cref="EngineException">InvalidValue.</exception>
    public static void Between<T>(string field, T value, T least, T most, string? accepted = null)
        where T : IComparable<T> =>
        Require(value.CompareTo(least) >= 0 && value.CompareTo(most) <= 0, field, value, accepted ?? string.Create(CultureInfo.InvariantCulture, $"from {least} to {most}"));

    /// <exception cref="EngineException">InvalidValue.</exception>
    public static void AtLeast<T>(string field, T value, T least)
        where T : IComparable<T> =>
        Require(value.CompareTo(least) >= 0, field, value, string.Create(CultureInfo.InvariantCulture, $"at least {least}"));

    private static void Require<T>(bool holds, string field, T value, string accepted)
    {
        if (!holds)
        {
            throw new EngineException(EngineError.InvalidValue, string.Create(CultureInfo.InvariantCulture, $"{field} is {value}; it must be {accepted}."), field);
        }
    }
}
