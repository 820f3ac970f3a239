using System.Buffers;

using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Metrics;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Generation;

/// <summary>A request that has a sequence. Only the scheduler's thread touches it.</summary>
/// <remarks>
/// A scored prompt is text that is known before it is drawn: its tokens go through the model as an answer's do, only several in a step, and
/// the row before each gives its log-probability.
/// </remarks>
internal sealed class LiveRequest : IDisposable
{
    private readonly Generation generation;
    private readonly Sequence sequence;
    private readonly Bell bell;

    // The prompt where it is scored, else its last token alone; then the answer. The sequence begins with the first of them.
    private readonly ArrayBufferWriter<int> text = new();
    private readonly int known;
    private readonly int limit;
    private int seen;
    private Task ahead = Task.CompletedTask;
    private bool isFinished;

    /// <param name="sequence">Of <see cref="GenerationRequest.Start"/>.</param>
    /// <param name="bell">Rung when a request that was not ready becomes it.</param>
    public LiveRequest(Generation generation, Sequence sequence, Bell bell)
    {
        (this.generation, this.sequence, this.bell) = (generation, sequence, bell);
        GenerationRequest request = generation.Request;
        text.Write(request.ScorePrompt ? request.Prompt.Streams[0].Span : request.Prompt.Streams[0].Span[^1..]);
        known = text.WrittenCount;
        limit = Math.Min(request.MaxTokens, sequence.Room - known + 1);
        if (request.ScorePrompt)
        {
            Publish(new(text.WrittenSpan[0], null, [], known == 1 ? EndOfPrompt : null) { OfPrompt = true });
        }
        else
        {
            LookAhead();
        }
    }

    public Lane Lane => generation.Lane;

    /// <summary>Whether a step with this request will not wait for anyone.</summary>
    public bool IsReady => ahead.IsCompleted;

    public bool IsOver => isFinished || generation.IsCancelled;

    /// <summary>Prompt tokens are still to be scored.</summary>
    public bool IsScoring => seen + 1 < known;

    /// <summary>Rows that the model can give now: one after each known token.</summary>
    public int Rows => isFinished ? 0 : text.WrittenCount - seen - (limit == 0 ? 1 : 0);

    /// <summary>Prompt tokens that can be computed ahead of the step that gives its first row, or with it.</summary>
    public int Pending => isFinished ? 0 : sequence.Pending;

    private FinishReason? EndOfPrompt => limit == 0 ? FinishReason.Length : null;

    /// <summary>What the model must compute for the next rows; at first the prompt comes before it.</summary>
    /// <param name="rows">1 to <see cref="Rows"/>.</param>
    public Segment Segment(int rows) => new(sequence, text.WrittenMemory[Math.Max(seen, 1)..(seen + rows)], rows);

    /// <summary>Scores or draws one token from each row and publishes it, or fails.</summary>
    /// <returns>A token was drawn.</returns>
    public bool Accept(ReadOnlySpan<float> rows, int width)
    {
        if (sequence.Fault is { } fault)
        {
            Fail(fault);
            return false;
        }

        try
        {
            int count = rows.Length / width;
            for (int i = 0; i < count; i++)
            {
                Scored row = new(i, count, rows.Slice(i * width, width));
                seen++;
                if (seen == text.WrittenCount)
                {
                    Draw(row);
                    return true;
                }

                Publish(Describe(text.WrittenSpan[seen], row, seen + 1 == known ? EndOfPrompt : null) with { OfPrompt = true });
            }
        }
        catch (EngineException e)
        {
            Fail(e);
        }

        return false;
    }

    /// <returns>Prompt tokens computed.</returns>
    public int Prefill(ILanguageModel model, int positions)
    {
        try
        {
            return model.Prefill(sequence, positions);
        }
        catch (Exception e)
        {
            Fail(ModelFailure.Of(model, e));
            return 0;
        }
    }

    public void Fail(EngineException failure)
    {
        isFinished = true;
        generation.Fail(failure);
    }

    public void Dispose() => sequence.Dispose();

    private void Draw(Scored row)
    {
        GenerationRequest request = generation.Request;
        ReadOnlySpan<int> answer = text.WrittenSpan[known..];
        int id = Sampler.Next(row.Logits, answer, request.Sampling, answer.Length);
        FinishReason? finish =
            !request.IgnoreEndOfText && sequence.EndOfTextIds.Contains(id) ? FinishReason.Stop
            : answer.Length + 1 >= limit ? FinishReason.Length
            : null;
        text.Write([id]);
        Publish(Describe(id, row, finish));
        if (!isFinished)
        {
            LookAhead();
        }
    }

    private void LookAhead()
    {
        ahead = sequence.Expect(Segment(1).Tokens);
        if (!ahead.IsCompleted)
        {
            _ = ahead.ContinueWith(_ => bell.Ring(), TaskScheduler.Default);
        }
    }

    private void Publish(GeneratedToken token)
    {
        isFinished = token.Finish is not null;
        generation.CachedTokens = sequence.CachedTokens;
        generation.Publish(token);
    }

    private GeneratedToken Describe(int id, Scored row, FinishReason? finish)
    {
        TokenTrace? trace = sequence.Explain(row.Index, row.Count, row.Logits, id);
        if (trace is not null)
        {
            TraceMetrics.Record(trace, id);
        }

        if (generation.Request.TopLogprobs is not { } count)
        {
            return new(id, null, [], finish) { Trace = trace };
        }

        float normaliser = Logprobs.Normaliser(row.Logits);
        return new(id, row.Logits[id] - normaliser, Logprobs.Top(row.Logits, count, normaliser), finish) { Trace = trace };
    }

    /// <summary>One of the rows of a step.</summary>
    private readonly ref struct Scored(int index, int count, ReadOnlySpan<float> logits)
    {
        public int Index { get; } = index;

        public int Count { get; } = count;

        public ReadOnlySpan<float> Logits { get; } = logits;
    }
}
