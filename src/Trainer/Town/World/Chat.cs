namespace ProxyTune.Trainer.Town;

/// <summary>The family's chat format and its special tokens.</summary>
internal static class Chat
{
    public const string EndOfText = "<|endoftext|>";
    public const string EndOfTurn = "<|end|>";

    public static readonly string[] SpecialTokens = [EndOfText, "<|system|>", "<|user|>", "<|assistant|>", EndOfTurn];

    /// <summary>The same format as a Jinja template, for tokenizer_config.json.</summary>
    public const string Template =
        "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}{% endfor %}" +
        "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}";

    public static string Turn(string role, string content) => $"<|{role}|>\n{content}{EndOfTurn}\n";
}
