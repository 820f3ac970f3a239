using System.Text.Json;
using System.Text.RegularExpressions;

namespace ProxyTune.Checkpoints.Patches;

/// <summary>
/// PEFT's rank_pattern or alpha_pattern: values by regular expression. An expression matches a module's whole name, or its end after a dot. The first
/// match counts.
/// </summary>
internal sealed class PatchPattern
{
    private readonly List<(Regex Name, double Value)> entries = [];

    /// <summary>The value for a module such as <c>model.layers.0.self_attn.q_proj</c>; null if no expression matches.</summary>
    public double? Of(string module) => entries.Where(entry => entry.Name.IsMatch(module)).Select(entry => (double?)entry.Value).FirstOrDefault();

    /// <param name="accepts">True for accepted values.</param>
    /// <param name="accepted">A description of accepted values, for messages.</param>
    /// <exception cref="FormatException">The JSON is not an object, a value is not accepted, or an expression is not valid or cannot be matched in linear time.</exception>
    public static PatchPattern Read(JsonElement json, Func<double, bool> accepts, string accepted)
    {
        PatchPattern pattern = new();
        if (json.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
        {
            return pattern;
        }

        foreach (JsonProperty entry in json.ValueKind == JsonValueKind.Object ? json.EnumerateObject() : throw new FormatException($"is {json}; accepted is an object"))
        {
            if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetDouble(out double value) || !accepts(value))
            {
                throw new FormatException($"gives '{entry.Name}' {entry.Value}; accepted is {accepted}");
            }

            pattern.entries.Add((Compile(entry.Name), value));
        }

        return pattern;
    }

    private static Regex Compile(string name)
    {
        try
        {
            // The expression comes from an upload, so matching must take linear time.
            return new($@"^(?:.*\.)?(?:{name})$", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (Exception error) when (error is ArgumentException or NotSupportedException)
        {
            throw new FormatException($"has '{name}'; accepted is a regular expression without backtracking. {error.Message}", error);
        }
    }
}
