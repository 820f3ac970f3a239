using System.Text.Json;
using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;
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

    /// <exception cref="EngineException">InvalidValue: the header cannot be read.</exception>
    public static AskedFusion Read(string? header)
    {
        if (string.IsNullOrWhiteSpace(header))
        {
            return AskedFusion.Nothing;
        }

        try
        {
            return header.TrimStart().StartsWith('{') ? JsonSerializer.Deserialize(header, FusionWire.Json.AskedFusion)! : ReadPairs(header);
        }
        catch (Exception error) when (error is JsonException or FormatException)
        {
            throw Refused(header, "", error);
        }
    }

    /// <summary>Adds the fields of the header to the error of an expert that only the header names, since it may be a field that is spelt wrong.</summary>
    public static ServedPlan Explained(AskedFusion header, Func<ServedPlan> plan)
    {
        try
        {
            return plan();
        }
        catch (EngineException error) when (error.Error == EngineError.UnknownExpert && header.Experts?.Keys.Any(name => error.Field == $"fusion.experts.{name}") == true)
        {
            throw new EngineException(error.Error, $"{error.Message} The header {Name} has the fields {string.Join(", ", FusionTable.ShortNames)}.", error.Field, error);
        }
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

    private static EngineException Refused(string header, string reason, Exception? inner = null) => new(
        EngineError.InvalidValue,
        $"The header {Name} is '{header}'{reason}; accepted is FIELD=VALUE, EXPERT=NUMBER, ... with the fields {string.Join(", ", FusionTable.ShortNames)}, or the JSON object of the body's fusion.",
        Name,
        inner);

    private static AskedFusion ReadPairs(string header)
    {
        AskedFusion asked = AskedFusion.Nothing;
        Dictionary<string, double> experts = [];
        foreach (string pair in header.Split(',', StringSplitOptions.TrimEntries))
        {
            if (pair.Split('=', StringSplitOptions.TrimEntries) is not [{ Length: > 0 } name, { Length: > 0 } text])
            {
                throw new FormatException();
            }

            FusionField? field = FusionTable.Fields.FirstOrDefault(field => field.Name == name && field.Parse is not null);
            if (field?.Get(asked) is not null || experts.ContainsKey(name))
            {
                throw Refused(header, $": {name} stands there twice");
            }

            object value = (field?.Parse ?? FusionTable.Number)(text)
                ?? throw Refused(header, $": {name} is '{text}' and takes {field?.Accepts ?? "a number, if it is an expert"}");
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
}

/// <summary>JSON of this slice.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(AskedFusion))]
internal sealed partial class FusionWire : JsonSerializerContext
{
    public static FusionWire Json { get; } = new(Wire.NewOptions());
}
