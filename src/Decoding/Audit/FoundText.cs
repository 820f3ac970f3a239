namespace ProxyTune.Decoding.Audit;

/// <summary>A text that an audit found.</summary>
/// <param name="Order">When it was found, from 0.</param>
/// <param name="Prompt">The user's message that it answers.</param>
/// <param name="Contrast">log p_tuned - log p_untuned of the whole text in nats, with the end-of-text token: how much likelier the tuned model makes it.</param>
/// <param name="Tokens">The number of these tokens.</param>
/// <param name="Strongest">The token with the largest contrast.</param>
public sealed record FoundText(int Order, string Prompt, string Text, double Contrast, int Tokens, TokenContrast Strongest);

/// <param name="Contrast">log p_tuned - log p_untuned of the token after its prefix, in nats.</param>
public readonly record struct TokenContrast(int Id, float Contrast);
