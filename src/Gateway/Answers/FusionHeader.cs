using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Answers;

/// <summary>
/// The header X-Fusion, for clients that cannot send a field of their own: <c>method=proxy, alpha=1.2, qa=0.5</c>, or the JSON of the body's
/// <c>fusion</c>. The response's X-Fusion-Applied has the same form.
/// </summary>
internal static class FusionHeader
{
    public const string Name = "X-Fusion";
    public const string AppliedName = "X-Fusion-Applied";

    // Clients accept 8 to 64 KiB of headers. Only prompts with many examples are longer, and the response's body has them.
    private const int MaxLength = 4096;

    /// <param name="model">The model whose experts the header may name.</param>
    /// <exception cref="EngineException">InvalidValue: the header cannot be read. UnknownExpert: it has a name that is neither a field nor an expert.</exception>
    public static AskedFusion Read(string? header, ServedModel model)
    {
        if (string.IsNullOrWhiteSpace(header))
        {
            return AskedFusion.Nothing;
        }

        return header.TrimStart().StartsWith('{') ? ReadJson(header) : ReadPairs(header, model);
    }

    /// <summary>Writes what applies, so that it asks for the same again: in the short form if that can say all that was asked, else as JSON.</summary>
    public static string Format(SettledFusion settled, AskedFusion asked)
    {
        if (FusionTable.Fields.Any(field => field.Parse is null && field.Get(asked) is not null and not IReadOnlyDictionary<string, double>))
        {
            // The default encoder writes ASCII, which a header must be.
            string json = JsonSerializer.Serialize(settled.Values, FusionWire.Default.AskedFusion);
            if (json.Length <= MaxLength)
            {
                return json;
            }
        }

        IEnumerable<(string Name, object? Value)> fields = FusionTable.Fields.Where(field => field.Parse is not null).Select(field => (field.Name, field.Get(settled.Values)));
        IEnumerable<(string Name, object? Value)> experts = (settled.Values.Experts ?? new Dictionary<string, double>()).Select(expert => (expert.Key, (object?)expert.Value));
        return string.Join(", ", fields.Concat(experts).Where(field => field.Value is not null).Select(field => FormattableString.Invariant($"{field.Name}={Text(field.Value)}")));

        static object? Text(object? value) => value is bool truth ? truth ? "true" : "false" : value;
    }

    private static AskedFusion ReadJson(string header)
    {
        try
        {
            return JsonSerializer.Deserialize(header, FusionWire.Json.AskedFusion)!;
        }
        catch (JsonException error)
        {
            throw Refused(header, JsonProblem.Reason(error, Encoding.UTF8.GetBytes(header), FusionWire.Json.AskedFusion), error);
        }
    }

    private static AskedFusion ReadPairs(string header, ServedModel model)
    {
        AskedFusion asked = AskedFusion.Nothing;
        Dictionary<string, double> experts = [];
        HashSet<string> names = [];
        foreach (string pair in header.Split(',', StringSplitOptions.TrimEntries))
        {
            if (pair.Split('=', StringSplitOptions.TrimEntries) is not [{ Length: > 0 } name, { Length: > 0 } text])
            {
                throw Refused(header, $"'{pair}' is not NAME=VALUE.");
            }

            if (!names.Add(name))
            {
                throw Refused(header, $"{name} is given twice; accepted is one value.");
            }

            FusionField? field = FusionTable.Fields.FirstOrDefault(field => field.Name == name);
            if (field is { Parse: null })
            {
                throw Refused(header, $"{name} has no short form; accepted is the JSON object.");
            }

            if (field is null && model.Experts.All(expert => expert.Name != name))
            {
                throw UnknownName(header, name, model);
            }

            object value = (field?.Parse ?? FusionTable.Number)(text) ?? throw Refused(header, $"{name} is '{text}'; accepted is {field?.Accepts ?? "a number"}.");
            if (field is null)
            {
                experts[name] = (double)value;
            }
            else
            {
                asked = field.With(asked, value);
            }
        }

        return experts.Count == 0 ? asked : asked with { Experts = experts };
    }

    private static EngineException Refused(string header, string reason, Exception? inner = null) => new(
        EngineError.InvalidValue,
        $"The header {Name} is '{header}': {reason} The header takes FIELD=VALUE, EXPERT=NUMBER, ... with the fields {string.Join(", ", FusionTable.ShortNames)}, or the JSON object of the body's fusion.",
        Name,
        inner);

    private static EngineException UnknownName(string header, string name, ServedModel model) => new(
        EngineError.UnknownExpert,
        $"The header {Name} is '{header}': {name} is neither a field nor an expert of {model.Name}; the fields are {string.Join(", ", FusionTable.ShortNames)}, and the experts are {Listing.Of(model.Experts.Select(expert => expert.Name))}.",
        $"fusion.experts.{name}");
}

/// <summary>JSON of this slice.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(AskedFusion))]
internal sealed partial class FusionWire : JsonSerializerContext
{
    public static FusionWire Json { get; } = new(new JsonSerializerOptions(Wire.NewOptions()) { AllowDuplicateProperties = false });
}
