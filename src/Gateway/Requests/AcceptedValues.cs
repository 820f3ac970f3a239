using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace ProxyTune.Gateway.Requests;

/// <summary>What a field takes, in words for error messages: its description, or what its type and range say.</summary>
internal static class AcceptedValues
{
    private const BindingFlags OfInstances = BindingFlags.Public | BindingFlags.Instance;

    /// <summary>In the order in which JSON has them.</summary>
    public static IEnumerable<PropertyInfo> Fields(Type type) => type.GetProperties(OfInstances).OrderBy(field => field.GetCustomAttribute<JsonPropertyOrderAttribute>()?.Order ?? 0);

    public static string NameOf(PropertyInfo field) => JsonNamingPolicy.SnakeCaseLower.ConvertName(field.Name);

    /// <param name="path">Names and indices from the body down to what could not be read; the last known field on the way is described.</param>
    public static string At(Type body, IEnumerable<string> path)
    {
        PropertyInfo? deepest = null;
        Type type = body;
        foreach (string step in path)
        {
            if (Element(type) is { } element)
            {
                type = element;
            }
            else if (Fields(type).FirstOrDefault(field => NameOf(field) == step) is { } field)
            {
                deepest = field;
                type = Plain(field.PropertyType);
            }
            else
            {
                break;
            }
        }

        return deepest is null ? $"a field of {string.Join(", ", Fields(body).Select(NameOf))}" : Of(deepest);
    }

    public static string Of(PropertyInfo field)
    {
        if (field.GetCustomAttribute<DescriptionAttribute>() is { } description)
        {
            return description.Description;
        }

        Type type = Plain(field.PropertyType);
        return field.GetCustomAttribute<RangeAttribute>() switch
        {
            null when type == typeof(int) => FormattableString.Invariant($"an integer from {int.MinValue} to {int.MaxValue}"),
            null when type == typeof(long) => FormattableString.Invariant($"an integer from {long.MinValue} to {long.MaxValue}"),
            null => Kind(type),
            { Maximum: int.MaxValue } range => FormattableString.Invariant($"{Kind(type)} of at least {range.Minimum}, and at most {range.Maximum}"),
            { } range => FormattableString.Invariant($"{Kind(type)} from {range.Minimum} to {range.Maximum}"),
        };
    }

    private static string Kind(Type type)
    {
        if (Element(type) is { } element)
        {
            return $"{(type.GetGenericArguments().Length == 2 ? "an object from name to" : "an array, each item")} {Kind(element)}";
        }

        return type == typeof(bool) ? "true or false"
            : type == typeof(string) ? "a string"
            : type == typeof(double) ? "a number"
            : type == typeof(int) || type == typeof(long) ? "an integer"
            : $"an object with {string.Join(", ", Fields(type).Select(NameOf))}";
    }

    /// <summary>Of a dictionary its values, of a list its items.</summary>
    private static Type? Element(Type type) => type.IsGenericType && type.IsInterface ? type.GetGenericArguments()[^1] : null;

    private static Type Plain(Type type) => Nullable.GetUnderlyingType(type) ?? type;
}
