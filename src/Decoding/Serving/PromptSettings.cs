using System.Text.Json.Serialization;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Serving;

/// <summary>How the streams of a role read a conversation, beside it. So one stream can learn in its context what another was tuned to.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record PromptSettings
{
    /// <summary>chat (the model's own), plain, or a .jinja file beside catalog.json; in a request chat or plain.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Template { get; init; }

    /// <summary>Stands before the conversation; joined with a blank line to a system message of the conversation itself.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? System { get; init; }

    /// <summary>What the answer has begun with already; not part of the text that is returned.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? AssistantPrefix { get; init; }

    /// <summary>Questions and answers that precede the conversation.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<PromptExample>? Examples { get; init; }

    /// <summary>These settings, and <paramref name="fallback"/> where they say nothing.</summary>
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
