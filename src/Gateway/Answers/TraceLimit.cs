using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Gateway.Answers;

/// <summary>A trace is some hundred times as long as the text that it explains, so a request may ask for so many tokens of it.</summary>
internal static class TraceLimit
{
    public const int MaxTokens = 4096;

    /// <exception cref="EngineException">InvalidValue with the number of tokens that would be accepted.</exception>
    /// <param name="choices">Of each prompt.</param>
    public static void Check(IReadOnlyList<Prompt> prompts, int choices, GenerationRequestTemplate template)
    {
        long asked = prompts.Where(prompt => prompt.Plan.Trace).Sum(prompt => (long)choices * (Math.Min(template.MaxTokens, Room(prompt)) + Scored(prompt)));
        if (asked <= MaxTokens)
        {
            return;
        }

        int answers = prompts.Count * choices;
        long left = (MaxTokens - ((long)choices * prompts.Sum(Scored))) / answers;
        string remedy = left < 1
            ? "fewer or shorter prompts"
            : answers == 1 ? $"max_tokens of at most {left}" : $"max_tokens of at most {left} for each of the {answers} answers";
        throw new EngineException(
            EngineError.InvalidValue, $"fusion.trace is true for up to {asked} tokens; accepted are {MaxTokens}, so {remedy}.", "fusion.trace");

        int Scored(Prompt prompt) => template.ScorePrompt ? prompt.TokenCount : 0;
    }

    private static int Room(Prompt prompt) =>
        Math.Max(0, prompt.Plan.Streams.Zip(prompt.Streams, (stream, tokens) => stream.Model.Info.ContextLength - tokens.Length).Min());
}
