using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Generation;

/// <summary>A request to generate one answer.</summary>
public sealed record GenerationRequest
{
    /// <summary>The largest number of alternatives per token, as in OpenAI's API.</summary>
    public const int MaxLogprobs = 20;

    public required Prompt Prompt { get; init; }

    public SamplingOptions Sampling { get; init; } = new();

    /// <summary>The largest number of drawn tokens: at least 1, or 0 with <see cref="ScorePrompt"/>. The engine lowers it to the room that the context leaves.</summary>
    public int MaxTokens { get; init; } = int.MaxValue;

    /// <summary>The number of alternatives with log-probabilities per token, 0 to 20. Null requests no log-probabilities at all.</summary>
    public int? TopLogprobs { get; init; }

    /// <summary>
    /// Publishes the prompt's tokens before the answer's, with log-probabilities according to <see cref="TopLogprobs"/>. They are the fused model's
    /// log-probabilities of all tokens after the first. All streams must read the same tokens.
    /// </summary>
    public bool ScorePrompt { get; init; }

    /// <summary>Counts the answer and its traces in the metrics. Audits turn it off, since their draws are not answers.</summary>
    public bool Measured { get; init; } = true;

    /// <summary>The request of a client that this is a part of. Places go round the callers and their requests. Null makes it a request of its own.</summary>
    public RequestOrigin? Origin { get; init; }

    /// <summary>
    /// Called at <see cref="DecodeScheduler.Submit"/>. What it returns is disposed when the request has no sequence any more, which can be after the end of
    /// the answer. It keeps models in memory that may be retired. Null for models that stay.
    /// </summary>
    public Func<IDisposable>? Use { get; init; }

    /// <summary>Continues after an end-of-text id; for benchmarks.</summary>
    public bool IgnoreEndOfText { get; init; }

    /// <summary>The prompt that the sequence starts with. If the prompt is scored, this is its first token.</summary>
    internal Prompt Start => ScorePrompt
        ? ToScale with
        {
            Streams = [.. Prompt.Streams.Select(tokens => tokens[..1])],
            Scored = Prompt.TokenCount - 1,
            MaxAppended = (int)Math.Min(int.MaxValue, (long)Prompt.TokenCount - 1 + MaxTokens),
        }
        : ToScale with { MaxAppended = MaxTokens };

    /// <summary>The repetition penalty looks at the sign of a logit, so a constant in all logits changes its result.</summary>
    private Prompt ToScale => Prompt with { ToScale = Sampling.RepetitionPenalty != 1 };

    /// <summary>Refuses a request that cannot run. It reads immutable state only, so any thread may call it.</summary>
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

        int minAnswer = MaxTokens == 0 ? 0 : 1;
        RunningPlan running = RunningPlan.Of(Prompt);
        foreach (PlannedStream stream in running.Streams)
        {
            int limit = stream.Model.Info.ContextLength;
            if (stream.Tokens.IsEmpty)
            {
                throw new EngineException(EngineError.InvalidValue, "The prompt is empty; it must have at least 1 token.", "prompt");
            }

            if (stream.Tokens.Length + minAnswer > limit)
            {
                string reason = minAnswer == 0 ? $" of {limit} tokens is shorter" : $" of {limit} tokens must also hold the answer";
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
