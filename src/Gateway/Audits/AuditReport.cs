using System.Text.Json.Serialization;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.Audits;

/// <summary>What an audit found, the most telling text first.</summary>
/// <param name="Tuned">The expert's model, with its patches.</param>
/// <param name="Untuned">Its anti-expert.</param>
/// <param name="Settings">All settings of the audit. A request with them finds the same texts.</param>
internal sealed record AuditReport(long Created, string Model, string Expert, string Tuned, string Untuned, AuditRun Settings, IReadOnlyList<AuditedText> Data)
{
    public string Object { get; } = "audit";
}

/// <param name="Prompts">The request's prompts; null if the untuned model wrote them.</param>
internal sealed record AuditRun(IReadOnlyList<string>? Prompts, int Texts, int MaxTokens, int Candidates, double Alpha, double Plausibility, double Diversity, long Seed);

/// <param name="Score">log p_tuned - log p_untuned of the text, in nats.</param>
/// <param name="ScorePerToken">The score divided by the number of the text's tokens.</param>
/// <param name="Strongest">The token with the largest share in the score.</param>
/// <param name="Order">The text's place in the order of finding, from 0.</param>
internal sealed record AuditedText(string Text, string Prompt, double Score, double ScorePerToken, int Tokens, AuditedToken Strongest, int Order);

internal sealed record AuditedToken(string Token, int Id, float Contrast);

/// <summary>JSON of this slice.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(AuditRequest))]
[JsonSerializable(typeof(AuditReport))]
internal sealed partial class AuditsWire : JsonSerializerContext
{
    public static AuditsWire Json { get; } = new(Wire.NewOptions());
}
