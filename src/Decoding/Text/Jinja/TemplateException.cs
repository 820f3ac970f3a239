namespace ProxyTune.Decoding.Text;

/// <summary>Why a template gave no text.</summary>
internal enum TemplateFault
{
    /// <summary>It is no Jinja.</summary>
    Syntax,

    /// <summary>It is Jinja, but uses something that is not offered here. The message names it.</summary>
    Unsupported,

    /// <summary>It takes more steps, depth, memory or output than is allowed.</summary>
    Limit,

    /// <summary>It called raise_exception; the message is its own.</summary>
    Raised,

    /// <summary>An operation in it failed.</summary>
    Failed,
}

/// <summary>A template that cannot be parsed or rendered.</summary>
/// <remarks>The room's callers turn it into an <see cref="Checkpoints.EngineException"/>, since only they know the file or the field.</remarks>
internal sealed class TemplateException(TemplateFault fault, string message) : Exception(message)
{
    public TemplateFault Fault { get; } = fault;

    public static TemplateException Syntax(string message, int line) => new(TemplateFault.Syntax, $"{message} (line {line})");

    public static TemplateException Unsupported(string what) => new(TemplateFault.Unsupported, $"{what} is not supported");

    public static TemplateException Limit(string what) => new(TemplateFault.Limit, what);

    public static TemplateException Failed(string message) => new(TemplateFault.Failed, message);
}
