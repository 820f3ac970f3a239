using ProxyTune.Decoding.Text;

namespace ProxyTune.Trainer.Data;

/// <summary>A conversation up to the assistant's turn, and the answer that is to be learned or judged.</summary>
/// <param name="Keep">Nothing is to be learned here: wherever in this answer, tuning shall change nothing of what comes next.</param>
public sealed record Example(IReadOnlyList<ChatMessage> Messages, string Answer, bool Keep = false);
