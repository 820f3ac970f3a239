using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Answers;

/// <summary>
/// Three ways to ask for a fusion. The body's <c>fusion</c> wins over the model name's suffix, which wins over the header;
/// this holds for each field and for each expert by itself.
/// </summary>
internal static class FusionRequest
{
    /// <summary><c>X-Fusion: method=proxy, alpha=1.2, qa=0.5</c>, or the JSON of the body's <c>fusion</c>.</summary>
    public const string Header = "X-Fusion";

    // Clients take 8 to 64 KiB of headers; only prompts with many examples are longer, and the body has them.
    private const int LongestHeader = 4096;

    private const string AlphaName = "alpha";
    private const string MethodName = "method";
    private const string AmplificationName = "amplification";
    private const string ModeName = "mode";
    private const string SearchName = "search";
    private const string FloorName = "floor";
    private const string NormaliseName = "normalise";
    private const string TraceName = "trace";

    private const string HeaderForm = "FIELD=VALUE, EXPERT=NUMBER, ... with the fields method, alpha, amplification, normalise, mode, search, floor, trace, or the JSON object of the body's fusion";

    /// <exception cref="EngineException">InvalidValue where the header cannot be read.</exception>
    public static FusionSettings Combine(FusionSettings? body, double? suffixAlpha, string? header)
    {
        FusionSettings fromHeader = string.IsNullOrWhiteSpace(header) ? FusionSettings.Default : ParseHeader(header);
        Dictionary<string, double> experts = new(fromHeader.Experts ?? new Dictionary<string, double>());
        foreach ((string name, double weight) in body?.Experts ?? new Dictionary<string, double>())
        {
            experts[name] = weight;
        }

        body ??= FusionSettings.Default;
        return new FusionSettings
        {
            Method = body.Method ?? fromHeader.Method,
            Alpha = body.Alpha ?? suffixAlpha ?? fromHeader.Alpha,
            Experts = experts.Count == 0 ? null : experts,
            Normalise = body.Normalise ?? fromHeader.Normalise,
            Amplification = body.Amplification ?? fromHeader.Amplification,
            Mode = body.Mode ?? fromHeader.Mode,
            Search = body.Search ?? fromHeader.Search,
            Floor = body.Floor ?? fromHeader.Floor,
            Mask = body.Mask ?? fromHeader.Mask,
            Schedule = body.Schedule ?? fromHeader.Schedule,
            Prompts = body.Prompts ?? fromHeader.Prompts,
            Trace = body.Trace ?? fromHeader.Trace,
        };
    }

    /// <summary>What was applied, so that it asks for the same again: in the short form where that can say all that was asked, else as JSON.</summary>
    public static string Format(FusionSettings settled, FusionSettings asked)
    {
        if (asked is not { Mask: null, Schedule: null, Prompts: null })
        {
            // The default encoder writes ASCII, as a header must be.
            string json = JsonSerializer.Serialize(settled, FusionWire.Default.FusionSettings);
            if (json.Length <= LongestHeader)
            {
                return json;
            }
        }

        IEnumerable<(string Name, object? Value)> fields =
        [
            (MethodName, settled.Method),
            (AlphaName, settled.Alpha),
            (AmplificationName, settled.Amplification),
            (ModeName, settled.Mode),
            (SearchName, settled.Search),
            (FloorName, settled.Floor),
            (NormaliseName, Word(settled.Normalise)),
            (TraceName, Word(settled.Trace)),
            .. (settled.Experts ?? new Dictionary<string, double>()).Select(pair => (pair.Key, (object?)pair.Value)),
        ];
        return string.Join(", ", fields.Where(field => field.Value is not null).Select(field => FormattableString.Invariant($"{field.Name}={field.Value}")));

        static string? Word(bool? truth) => truth switch { true => "true", false => "false", null => null };
    }

    private static FusionSettings ParseHeader(string header) =>
        header.TrimStart().StartsWith('{') ? ParseJson(header) : ParsePairs(header);

    private static FusionSettings ParseJson(string header)
    {
        try
        {
            return JsonSerializer.Deserialize(header, FusionWire.Json.FusionSettings)!;
        }
        catch (JsonException)
        {
            throw Refused(header);
        }
    }

    private static FusionSettings ParsePairs(string header)
    {
        FusionSettings settings = FusionSettings.Default;
        Dictionary<string, double> experts = [];
        foreach (string pair in header.Split(',', StringSplitOptions.TrimEntries))
        {
            if (pair.Split('=', StringSplitOptions.TrimEntries) is not [{ Length: > 0 } name, { Length: > 0 } value])
            {
                throw Refused(header);
            }

            switch (name)
            {
                case MethodName:
                    settings = settings with { Method = value };
                    break;
                case ModeName:
                    settings = settings with { Mode = value };
                    break;
                case SearchName:
                    settings = settings with { Search = value };
                    break;
                case FloorName:
                    settings = settings with { Floor = Number(value) };
                    break;
                case AlphaName:
                    settings = settings with { Alpha = Number(value) };
                    break;
                case AmplificationName:
                    settings = settings with { Amplification = Number(value) };
                    break;
                case NormaliseName:
                    settings = settings with { Normalise = Truth(value) };
                    break;
                case TraceName:
                    settings = settings with { Trace = Truth(value) };
                    break;
                default:
                    experts[name] = Number(value);
                    break;
            }
        }

        return settings with { Experts = experts };

        double Number(string value) =>
            double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : throw Refused(header);

        bool Truth(string value) => bool.TryParse(value, out bool truth) ? truth : throw Refused(header);
    }

    private static EngineException Refused(string header) =>
        new(EngineError.InvalidValue, $"The header {Header} is '{header}'; accepted is {HeaderForm}.", Header);
}

/// <summary>JSON of this slice.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(FusionSettings))]
internal sealed partial class FusionWire : JsonSerializerContext
{
    public static FusionWire Json { get; } = new(Wire.NewOptions());
}
