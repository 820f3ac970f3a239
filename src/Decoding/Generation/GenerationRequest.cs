using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Generation;

/// <summary>What to generate.</summary>
public sealed record GenerationRequest
{
    /// <summary>OpenAI's limit of alternatives per token.</summary>
    public const int MostLogprobs = 20;

    public required Prompt Prompt { get; init; }

    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>At least 1; the engine lowers it to the room that the context leaves.</summary>
    public int MaxTokens { get; init; } = int.MaxValue;

    /// <summary>0 to 20 alternatives with log-probability per token. Null asks for no log-probabilities at all.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>Go on at an end-of-text id instead of stopping (for benchmarks).</summary>
    public bool IgnoreEndOfText { get; init; }

    /// <summary>Refuses what cannot run. Reads immutable state only, so any thread may call it.</summary>
    /// <exception cref="EngineException">InvalidValue or PromptTooLong.</exception>
    internal void Check(ILanguageModel model)
    {
        Sampling.Check(model.Info.VocabularySize);
        if (MaxTokens < 1)
        {
            throw new EngineException(EngineError.InvalidValue, $"max_tokens is {MaxTokens}; it must be at least 1.", "max_tokens");
        }

        if (TopLogprobs is < 0 or > MostLogprobs)
        {
            throw new EngineException(
                EngineError.InvalidValue, $"top_logprobs is {TopLogprobs}; it must be from 0 to {MostLogprobs}.", "top_logprobs");
        }

        foreach (PlannedStream stream in RunningPlan.Of(Prompt).Streams)
        {
            int limit = stream.Model.Info.ContextLength;
            if (stream.Tokens.IsEmpty)
            {
                throw new EngineException(EngineError.InvalidValue, "The prompt is empty; it must have at least 1 token.", "prompt");
            }

            if (stream.Tokens.Length >= limit)
            {
                throw new EngineException(
                    EngineError.PromptTooLong,
                    $"The prompt has {stream.Tokens.Length} tokens for '{stream.Model.Info.Name}', whose context of {limit} tokens must also hold the answer.",
                    "prompt");
            }
        }
    }
}
