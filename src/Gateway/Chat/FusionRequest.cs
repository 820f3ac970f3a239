using System.Globalization;
using System.Text.Json;

using ProxyTune.Decoding;
using ProxyTune.Decoding.Catalog;
using ProxyTune.Gateway.OpenAI;

namespace ProxyTune.Gateway.Chat;

/// <summary>
/// Three ways to ask for fusion weights. The body's <c>fusion</c> wins over the model name's suffix, which wins over the header;
/// this holds for alpha and for each expert by itself.
/// </summary>
internal static class FusionRequest
{
    /// <summary><c>X-Fusion: alpha=1.2, qa=0.5</c>, or the JSON of the body's <c>fusion</c>.</summary>
    public const string Header = "X-Fusion";

    private const string AlphaName = "alpha";

    private const string HeaderForm = "alpha=NUMBER, EXPERT=NUMBER, ... or a JSON object with alpha and experts";

    /// <exception cref="EngineException">InvalidValue where the header cannot be read.</exception>
    public static FusionSettings Combine(FusionFields? body, double? suffixAlpha, string? header)
    {
        FusionFields fromHeader = string.IsNullOrWhiteSpace(header) ? new FusionFields() : ParseHeader(header);
        var experts = new Dictionary<string, double>(fromHeader.Experts ?? new Dictionary<string, double>());
        foreach ((string name, double weight) in body?.Experts ?? new Dictionary<string, double>())
        {
            experts[name] = weight;
        }

        return new FusionSettings
        {
            Alpha = body?.Alpha ?? suffixAlpha ?? fromHeader.Alpha,
            Experts = experts.Count == 0 ? null : experts,
        };
    }

    /// <summary>The header's form of what was applied.</summary>
    public static string Format(FusionSettings settled) =>
        string.Join(", ", (settled.Experts ?? new Dictionary<string, double>())
            .Prepend(new(AlphaName, settled.Alpha ?? 1))
            .Select(pair => FormattableString.Invariant($"{pair.Key}={pair.Value}")));

    private static FusionFields ParseHeader(string header) =>
        header.TrimStart().StartsWith('{') ? ParseJson(header) : ParsePairs(header);

    private static FusionFields ParseJson(string header)
    {
        try
        {
            return JsonSerializer.Deserialize(header, Wire.Json.FusionFields)!;
        }
        catch (JsonException)
        {
            throw Refused(header);
        }
    }

    private static FusionFields ParsePairs(string header)
    {
        double? alpha = null;
        Dictionary<string, double> experts = [];
        foreach (string pair in header.Split(',', StringSplitOptions.TrimEntries))
        {
            string[] sides = pair.Split('=', StringSplitOptions.TrimEntries);
            if (sides is not [{ Length: > 0 } name, _]
                || !double.TryParse(sides[1], NumberStyles.Float, CultureInfo.InvariantCulture, out double value))
            {
                throw Refused(header);
            }

            if (name == AlphaName)
            {
                alpha = value;
            }
            else
            {
                experts[name] = value;
            }
        }

        return new FusionFields { Alpha = alpha, Experts = experts };
    }

    private static EngineException Refused(string header) =>
        new(EngineError.InvalidValue, $"The header {Header} is '{header}'; accepted is {HeaderForm}.", Header);
}
