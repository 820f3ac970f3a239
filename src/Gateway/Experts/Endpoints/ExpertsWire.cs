using System.Text.Json.Serialization;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Experts;

/// <summary>The wire types of this slice.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ExpertDeleted))]
[JsonSerializable(typeof(ExpertList))]
[JsonSerializable(typeof(ExpertObject))]
[JsonSerializable(typeof(PortObject))]
[JsonSerializable(typeof(RetireAnswer))]
[JsonSerializable(typeof(RetireRequest))]
[JsonSerializable(typeof(ServeRequest))]
internal sealed partial class ExpertsWire : JsonSerializerContext
{
    public static ExpertsWire Json { get; } = new(Wire.NewOptions());
}
