using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Text;

/// <summary>Renders chat templates somewhere else than in this process, for templates whose author need not be trusted. Thread-safe.</summary>
public interface ITemplateRenderer
{
    /// <exception cref="EngineException">InvalidValue (messages): the template refuses the messages, or takes too much time or memory.</exception>
    string Render(TemplateRequest request);
}

/// <summary>A template and what it is to render.</summary>
/// <param name="Begin">Text of the begin token.</param>
/// <param name="End">Text of the end token.</param>
/// <param name="Messages">A JSON array of objects with <c>role</c> and <c>content</c>.</param>
/// <param name="AddGenerationPrompt">Whether the text ends where the assistant's answer begins.</param>
public sealed record TemplateRequest(string Begin, string End, string Template, string Messages, bool AddGenerationPrompt);
