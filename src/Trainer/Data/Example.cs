using ProxyTune.Decoding.Text;

namespace ProxyTune.Trainer.Data;

/// <summary>A conversation up to the assistant's turn, and the answer for training or evaluation.</summary>
/// <param name="Keep">True means that tuning shall not change the next-token distribution at any position of this answer.</param>
public sealed record Example(IReadOnlyList<ChatMessage> Messages, string Answer, bool Keep = false);
