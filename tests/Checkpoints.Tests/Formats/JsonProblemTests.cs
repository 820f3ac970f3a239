using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Tests.Formats;

public sealed class JsonProblemTests
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
        TypeInfoResolver = new DefaultJsonTypeInfoResolver(),
    };

    [Theory]
    [InlineData("""{ "name": 7, "items": [] }""", "$.name is 7, which has the wrong type; accepted is a text.")]
    [InlineData("""{ "name": null, "items": [] }""", "$.name is null; accepted is a text.")]
    [InlineData("""{ "name": "a" }""", "$: items is missing; accepted is a list.")]
    [InlineData("""{ "name": "a", "items": {} }""", "$.items is {}, which has the wrong type; accepted is a list.")]
    [InlineData("""{ "name": "a", "items": [{ "count": 1 }, { "count": 1.5 }] }""", "$.items[1].count is 1.5, which has the wrong type; accepted is an integer from -2147483648 to 2147483647.")]
    [InlineData("""{ "name": "a", "items": [{ "cuont": 1 }] }""", "$.items[0]: 'cuont' is not a field here; accepted are count, on.")]
    [InlineData("""{ "name": "a", "items": [{ "on": "yes" }] }""", "$.items[0].on is \"yes\", which has the wrong type; accepted is true or false.")]
    [InlineData("""{ "name": "a", "items": [], "weights": { "x": "y" } }""", "$.weights.x is \"y\", which has the wrong type; accepted is a number.")]
    [InlineData("""{ "name": "a", "items": [], /* skipped */ "weights": [1], }""", "$.weights is [1], which has the wrong type; accepted is an object.")]
    [InlineData("[]", "$ is [], which has the wrong type; accepted is an object.")]
    [InlineData("""{ "name": "a" "items" }""", "byte 15: this is not valid JSON.")]
    public void Reason_WrongJson_NamesPlaceValueAndWhatIsAccepted(string json, string expected)
    {
        JsonException error = Assert.ThrowsAny<JsonException>(() => JsonSerializer.Deserialize<Order>(json, Json));

        Assert.Equal(expected, JsonProblem.Reason(error, Encoding.UTF8.GetBytes(json), Json.GetTypeInfo(typeof(Order))));
    }

    private sealed record Order(string Name, IReadOnlyList<Item> Items, IReadOnlyDictionary<string, double>? Weights = null);

    private sealed record Item(int Count = 0, bool? On = null);
}
