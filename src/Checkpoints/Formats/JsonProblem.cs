using System.Text.Json;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>Says what is wrong with a JSON file without the names of our types.</summary>
internal static class JsonProblem
{
    public static string Reason(JsonException error) => error.Message.Contains("could not be mapped", StringComparison.Ordinal)
        ? $"'{error.Path?.Split('.')[^1]}' is not a field here."
        : error.Message.Contains("could not be converted", StringComparison.Ordinal)
            ? "the value has the wrong type."
            : error.Message.Contains("missing required", StringComparison.Ordinal)
                ? $"missing is {error.Message.Split(" Path:")[0].Split("including: ")[^1]}"
                : error.Message.Split(" Path:")[0];
}
