using ProxyTune.Decoding.Text;

namespace ProxyTune.Trainer.Data;

/// <summary>A conversation up to the assistant's turn, and the answer that is to be learned or judged.</summary>
public sealed record Example(IReadOnlyList<ChatMessage> Messages, string Answer);
