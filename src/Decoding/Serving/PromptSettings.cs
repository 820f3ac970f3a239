using System.Text.Json.Serialization;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Serving;

/// <summary>How the streams of a role read a conversation. So a stream can learn from its context what another was tuned to.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record PromptSettings
{
    /// <summary>chat (the model's own), plain, or a .jinja file beside catalog.json; in a request chat or plain.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Template { get; init; }

    /// <summary>Stands before the conversation; joined with a blank line to a system message of the conversation itself.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? System { get; init; }

    /// <summary>The beginning of the answer, which the model continues; not part of the returned text.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? AssistantPrefix { get; init; }

    /// <summary>Questions and answers that precede the conversation.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<PromptExample>? Examples { get; init; }

    /// <summary>These settings, and those of <paramref name="fallback"/> where these are null.</summary>
    internal PromptSettings Over(PromptSettings? fallback) => new()
    {
        Template = Template ?? fallback?.Template,
        System = System ?? fallback?.System,
        AssistantPrefix = AssistantPrefix ?? fallback?.AssistantPrefix,
        Examples = Examples ?? fallback?.Examples,
    };

    internal void Check(string role, SettingsProblem problem)
    {
        if (Examples?.FirstOrDefault(example => example?.User is null || example.Assistant is null) is not null || Examples?.Contains(null!) == true)
        {
            throw problem.At($"prompts.{role}.examples", "incomplete", "a list of objects with user and assistant");
        }
    }

    internal PromptReader ToReader(Tokenizer tokenizer, ChatTemplate? template) => new(tokenizer, template)
    {
        System = System,
        AssistantPrefix = AssistantPrefix ?? "",
        Examples = Examples ?? [],
    };
}
