namespace ProxyTune.Decoding.Audit;

/// <summary>A text that an audit found.</summary>
/// <param name="Order">When it was found, from 0.</param>
/// <param name="Prompt">The user's message that it answers.</param>
/// <param name="Contrast">log p_tuned - log p_untuned of the whole text in nats, the end-of-text token included: how much more of the tuned model's making it is.</param>
/// <param name="Tokens">How many tokens that is.</param>
/// <param name="Strongest">The token with the largest contrast.</param>
public sealed record FoundText(int Order, string Prompt, string Text, double Contrast, int Tokens, TokenContrast Strongest);

/// <param name="Contrast">log p_tuned - log p_untuned of the token after what stands before it, in nats.</param>
public readonly record struct TokenContrast(int Id, float Contrast);
