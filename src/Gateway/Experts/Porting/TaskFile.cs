using System.Text.Json;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>The task of an evaluation, as an operator sends it. The trainer reads it later; this check reports at once what is wrong with it.</summary>
internal static class TaskFile
{
    private const string Accepted = "accepted is {\"messages\": [{\"role\": \"user\", \"content\": \"...\"}], \"answer\": \"...\"} in each line";

    /// <exception cref="EngineException">InvalidValue (task), naming the line.</exception>
    public static void Check(string path)
    {
        int number = 0, examples = 0;
        foreach (string line in File.ReadLines(path))
        {
            number++;
            if (line.Length > 0)
            {
                examples++;
                if (!IsExample(line))
                {
                    throw new EngineException(EngineError.InvalidValue, $"task, line {number}, is not an example; {Accepted}.", "task");
                }
            }
        }

        if (examples == 0)
        {
            throw new EngineException(EngineError.InvalidValue, $"task has no examples; {Accepted}.", "task");
        }
    }

    private static bool IsExample(string line)
    {
        try
        {
            using JsonDocument example = JsonDocument.Parse(line);
            return example.RootElement.ValueKind == JsonValueKind.Object
                && IsText(example.RootElement, "answer")
                && example.RootElement.TryGetProperty("messages", out JsonElement messages)
                && messages.ValueKind == JsonValueKind.Array
                && messages.GetArrayLength() > 0
                && messages.EnumerateArray().All(message => message.ValueKind == JsonValueKind.Object && IsText(message, "role") && IsText(message, "content"));
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool IsText(JsonElement parent, string name) => parent.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.String;
}
