using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Catalog;

/// <summary>How one model reads prompts in one role: its own tokenizer and the template the catalog gives that role.</summary>
/// <param name="Template">Null reads the messages' contents only, joined by newlines.</param>
internal sealed record PromptReader(Tokenizer Tokenizer, ChatTemplate? Template)
{
    public int[] Read(IReadOnlyList<ChatMessage> messages) => Template is null
        ? Read(string.Join('\n', messages.Select(message => message.Content)))
        : Tokenizer.EncodeRendered(Template.Render(messages));

    public int[] Read(string text) => Tokenizer.Encode(text);
}
