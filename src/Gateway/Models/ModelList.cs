using System.Text.Json.Serialization;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Models;

internal sealed record ModelList(IReadOnlyList<ModelObject> Data)
{
    public string Object { get; } = "list";
}

/// <summary>OpenAI's model object and, beyond it, what the model is made of and allows.</summary>
/// <param name="MaxModelLen">The limit of prompt and answer together, in tokens.</param>
internal sealed record ModelObject(string Id, long Created, string Description, int MaxModelLen, string SystemFingerprint)
{
    public string Object { get; } = "model";

    public string OwnedBy { get; } = "proxytune";

    /// <summary>Where an imported base came from; absent for other bases.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ModelOrigin? Origin { get; init; }

    /// <summary>Default weights and what a request may ask for; absent for a base alone.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public FusionLimits? Fusion { get; init; }
}

/// <summary>The origin of an imported model.</summary>
/// <param name="Name">Name of the source's folder or file.</param>
/// <param name="Files">SHA-256 of the source's files with weights, by name.</param>
/// <param name="Family">The architecture's name in the source.</param>
/// <param name="Precision">Of the import.</param>
/// <param name="Licence">As the source names it; null where it names none.</param>
/// <param name="NotServed">Parts of the source that are not served, such as a vision tower.</param>
internal sealed record ModelOrigin(string Name, IReadOnlyDictionary<string, string> Files, string? Family, string Precision, string? Licence, IReadOnlyList<string> NotServed);

/// <param name="Methods">The methods that a request may choose.</param>
/// <param name="Defaults">The settings that apply where a request gives none.</param>
internal sealed record FusionLimits(
    string Method, IReadOnlyList<string> Methods, WeightLimit Alpha, WeightLimit Amplification, IReadOnlyDictionary<string, WeightLimit> Experts, AskedFusion Defaults);

internal sealed record WeightLimit(double Default, double Minimum, double Maximum);

/// <summary>JSON of this slice.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ModelList))]
internal sealed partial class ModelsWire : JsonSerializerContext
{
    public static ModelsWire Json { get; } = new(Wire.NewOptions());
}
