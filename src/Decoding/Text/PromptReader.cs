using System.Text.Json.Serialization;
using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Text;

/// <summary>How one model reads prompts in one role: its own tokenizer and that role's template. Serving and training share it, so that an expert is tuned on what it will see.</summary>
/// <param name="Template">Null reads the messages' contents only, joined by newlines.</param>
public sealed record PromptReader(Tokenizer Tokenizer, ChatTemplate? Template)
{
    private const string SystemRole = "system";

    // A character of the private use area; templates do not hold it.
    private const string Mark = "\uE0A5";

    /// <summary>Stands before the conversation; joined with a blank line to a system message of the conversation itself. Null adds nothing.</summary>
    public string? System { get; init; }

    /// <summary>Questions and answers between system message and conversation.</summary>
    public IReadOnlyList<PromptExample> Examples { get; init; } = [];

    /// <summary>The beginning of the answer, which the model continues.</summary>
    public string AssistantPrefix { get; init; } = "";

    public int[] Read(IReadOnlyList<ChatMessage> messages)
    {
        IReadOnlyList<ChatMessage> whole = Whole(messages);
        return Template is null
            ? Read(string.Join('\n', whole.Select(message => message.Content)) + AssistantPrefix)
            : Tokenizer.EncodeRendered(Template.Render(whole) + AssistantPrefix);
    }

    /// <summary>A conversation up to where the user's message would begin; for a model to write that message.</summary>
    /// <exception cref="EngineException">InvalidValue (prompts) where the messages are read without a template, which would say where that is.</exception>
    public int[] ReadUserTurn()
    {
        string text = Template?.Render(Whole([new ChatMessage("user", Mark)])) ?? "";
        int at = text.LastIndexOf(Mark, StringComparison.Ordinal);
        return at > 0
            ? Tokenizer.EncodeRendered(text[..at])
            : throw new EngineException(EngineError.InvalidValue, "prompts is missing; it must be given where no chat template says where a user's message begins.", "prompts");
    }

    /// <summary>Text as it is; a role's additions belong to conversations.</summary>
    public int[] Read(string text) => Tokenizer.Encode(text);

    private IReadOnlyList<ChatMessage> Whole(IReadOnlyList<ChatMessage> messages)
    {
        if (string.IsNullOrEmpty(System) && Examples.Count == 0)
        {
            return messages;
        }

        bool hasSystem = messages is [{ Role: SystemRole }, ..];
        string[] system = [.. new[] { System == "" ? null : System, hasSystem ? messages[0].Content : null }.OfType<string>()];
        return
        [
            .. system.Length == 0 ? (ChatMessage[])[] : [new(SystemRole, string.Join("\n\n", system))],
            .. Examples.SelectMany(example => (ChatMessage[])[new("user", example.User), new("assistant", example.Assistant)]),
            .. messages.Skip(hasSystem ? 1 : 0),
        ];
    }
}

/// <summary>A question and the answer that a model should take as its example.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record PromptExample(string User, string Assistant);
