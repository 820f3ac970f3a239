using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Generation;

/// <summary>What to generate.</summary>
public sealed record GenerationRequest
{
    /// <summary>OpenAI's limit of alternatives per token.</summary>
    public const int MaxLogprobs = 20;

    public required Prompt Prompt { get; init; }

    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>At least 1, or 0 where <see cref="ScorePrompt"/> asks for no more; the engine lowers it to the room that the context leaves.</summary>
    public int MaxTokens { get; init; } = int.MaxValue;

    /// <summary>0 to 20 alternatives with log-probability per token. Null asks for no log-probabilities at all.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>
    /// Publish the prompt's tokens before the answer's, with log-probabilities as <see cref="TopLogprobs"/> asks: what the fused model would
    /// have given them, had it generated them after the first. All streams must read the same tokens.
    /// </summary>
    public bool ScorePrompt { get; init; }

    /// <summary>Count the answer and its traces in the metrics; the draws of an audit are no answers.</summary>
    public bool Measured { get; init; } = true;

    /// <summary>Continue after an end-of-text id instead of stopping (for benchmarks).</summary>
    public bool IgnoreEndOfText { get; init; }

    /// <summary>Where the sequence starts: behind the prompt, or behind its first token where the rest is scored.</summary>
    internal Prompt Start => ScorePrompt
        ? Prompt with { Streams = [.. Prompt.Streams.Select(tokens => tokens[..1])], MaxAppended = (int)Math.Min(int.MaxValue, (long)Prompt.TokenCount - 1 + MaxTokens) }
        : Prompt with { MaxAppended = MaxTokens };

    /// <summary>Refuses what cannot run. Reads immutable state only, so any thread may call it.</summary>
    /// <exception cref="EngineException">InvalidValue or PromptTooLong.</exception>
    internal void Check(ILanguageModel model)
    {
        Sampling.Check(model.Info.VocabularySize);
        RangeCheck.AtLeast("max_tokens", MaxTokens, ScorePrompt ? 0 : 1);
        if (ScorePrompt && Prompt.Streams.Any(tokens => !tokens.Span.SequenceEqual(Prompt.Streams[0].Span)))
        {
            throw new EngineException(EngineError.InvalidValue, "The prompt cannot be scored: the models of this answer read it in different forms.", "echo");
        }

        if (ScorePrompt && Prompt.IsRemote)
        {
            throw new EngineException(EngineError.InvalidValue, "The prompt cannot be scored: a model behind a network tells only what comes next.", "echo");
        }

        RangeCheck.Between("top_logprobs", TopLogprobs ?? 0, 0, MaxLogprobs);

        int leastAnswer = MaxTokens == 0 ? 0 : 1;
        RunningPlan running = RunningPlan.Of(Prompt);
        foreach (PlannedStream stream in running.Streams)
        {
            int limit = stream.Model.Info.ContextLength;
            if (stream.Tokens.IsEmpty)
            {
                throw new EngineException(EngineError.InvalidValue, "The prompt is empty; it must have at least 1 token.", "prompt");
            }

            if (stream.Tokens.Length + leastAnswer > limit)
            {
                string reason = leastAnswer == 0 ? $" of {limit} tokens is shorter" : $" of {limit} tokens must also hold the answer";
                throw new EngineException(
                    EngineError.PromptTooLong,
                    $"The prompt has {stream.Tokens.Length} tokens for '{stream.Model.Info.Name}', whose context{reason}.",
                    "prompt");
            }
        }

        int appended = running.MaxAppended(MaxTokens);
        KeyValueNeed need = KeyValueNeed.Of(running.Streams.Select(stream => (stream.Model.Info, stream.Tokens.Length + appended)));
        if (!need.Fits)
        {
            throw new EngineException(
                EngineError.InvalidValue,
                $"Prompt and answer may take {need.Bytes} bytes of keys and values: {need.Sum}. This server has {need.Limit}; ask for fewer max_tokens.",
                "max_tokens");
        }
    }
}
