using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
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
    private readonly GenerationStream generation;
    private readonly ILanguageModel model;
    private readonly Sequence sequence;
    private readonly WakeEvent wake;

    // The sequence begins with the first of its ids.
    private readonly AnswerText text;
    private readonly AnswerDraft? draft;
    private readonly GuessRecord guessing;
    private readonly int limit;
    private int seen;
    private int guessed;
    private int drawn;
    private Task ahead = Task.CompletedTask;
    private bool isFinished;

    /// <param name="sequence">Of <see cref="GenerationRequest.Start"/>.</param>
    /// <param name="wake">Set when a request becomes ready.</param>
    public LiveRequest(GenerationStream generation, ILanguageModel model, Sequence sequence, WakeEvent wake, GuessRecord guessing)
    {
        (this.generation, this.model, this.sequence, this.wake, this.guessing) = (generation, model, sequence, wake, guessing);
        GenerationRequest request = generation.Request;
        text = new(request, request.ScorePrompt ? request.Prompt.Streams[0].Span : request.Prompt.Streams[0].Span[^1..]);
        draft = sequence.CanDraft ? new(sequence, text, !request.IgnoreEndOfText) : null;
        limit = Math.Min(request.MaxTokens, sequence.Room - text.Known + 1);
        if (request.ScorePrompt)
        {
            Publish(new(text[0], null, [], text.Known == 1 ? EndOfPrompt : null) { OfPrompt = true });
        }
        else
        {
            LookAhead();
        }
    }

    public AdmissionQueue AdmissionQueue => generation.AdmissionQueue;

    /// <summary>Whether a step can run this request without waiting for a remote.</summary>
    public bool IsReady => ahead.IsCompleted;

    public bool IsOver => isFinished || generation.IsCancelled;

    /// <summary>Prompt tokens are still to be scored.</summary>
    public bool IsScoring => seen + 1 < text.Known;

    /// <summary>Rows that the model can give now: one after each known token.</summary>
    public int Rows => isFinished ? 0 : text.Count - seen - (limit == 0 ? 1 : 0);

    /// <summary>Prompt tokens that can be computed ahead of the step that gives its first row, or with it.</summary>
    public int Pending => isFinished ? 0 : sequence.Pending;

    private FinishReason? EndOfPrompt => limit == 0 ? FinishReason.Length : null;

    /// <summary>The tokens that the model must compute for the next rows, and for rows after guesses; at first the prompt comes before them.</summary>
    /// <param name="rows">1 to <see cref="Rows"/>.</param>
    public Segment Segment(int rows) => new(sequence, text.Ids[Math.Max(seen, 1)..(seen + rows + text.Guesses)], rows + text.Guesses);

    /// <summary>The next step draws from a row after one newest token.</summary>
    public bool IsDrawing => seen > 0 && !IsScoring;

    /// <summary>Says how much could be guessed, for <see cref="GuessRecord.Wanted"/> to be chosen; null where nothing can be.</summary>
    public GuessRecord? PrepareDraft()
    {
        // The last token that may be drawn needs no row after it.
        guessing.Most = limit - text.Drawn - 1;
        return draft is null || guessing.Most < 1 ? null : guessing;
    }

    /// <summary>The draft that the model fills before the next step, or null for none.</summary>
    public IDraft? BeginDraft()
    {
        if (draft is null || guessing is not { Most: > 0, Wanted: > 0 })
        {
            return null;
        }

        draft.Wanted = guessing.Wanted;
        return draft;
    }

    /// <returns>Whether the last call of the model failed for this request, which is over then.</returns>
    public bool FailsWithSequence()
    {
        if (sequence.Fault is { } fault)
        {
            Fail(fault);
        }

        return sequence.Fault is not null;
    }

    /// <summary>
    /// Scores or draws a token from each row and publishes it, or fails. Draws continue as long as they are what was guessed. Requests of a
    /// step are accepted by several threads at the same time; <see cref="Settle"/> follows on the scheduler's thread.
    /// </summary>
    /// <param name="first">Index of the first of its rows.</param>
    /// <param name="count">Its rows, those after guesses not counted.</param>
    public void Accept(RowBatch rows, int first, int count)
    {
        (guessed, drawn) = (text.Guesses, 0);
        try
        {
            for (int i = 0; i < count; i++)
            {
                seen++;
                if (seen == text.Count)
                {
                    Draw(rows, first, i);
                    return;
                }

                if (!TryRead(rows, first, i, count + guessed, out Scored row))
                {
                    return;
                }

                Publish(Describe(text[seen], row, seen + 1 == text.Known ? EndOfPrompt : null) with { OfPrompt = true });
            }
        }
        catch (Exception e)
        {
            // A failure costs this request and no other, whatever a model's rows throw.
            drawn = 0;
            Fail(ModelFailure.Of(model, e));
        }
    }

    /// <summary>Does what changes more than this request: rewinds after a wrong guess, and remembers how guesses turned out.</summary>
    /// <returns>The tokens that the last step drew.</returns>
    public StepCount Settle()
    {
        if (drawn == 0)
        {
            return default;
        }

        int right = drawn - 1, wrong = guessed - right;
        try
        {
            if (sequence.Fault is null)
            {
                guessing.Add(drawn, right, wrong: wrong > 0);
                if (wrong > 0)
                {
                    sequence.Rewind(wrong);
                }

                if (!isFinished)
                {
                    LookAhead();
                }
            }
        }
        catch (Exception e)
        {
            Fail(ModelFailure.Of(model, e));
        }

        return StepCount.Of(guessed, drawn);
    }

    /// <returns>Prompt tokens computed.</returns>
    public int Prefill(int positions)
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

    /// <param name="index">Index, among the request's rows, of the first that a draw comes from; rows after guesses follow it.</param>
    private void Draw(RowBatch rows, int first, int index)
    {
        int all = index + 1 + guessed;
        while (TryRead(rows, first, index + drawn, all, out Scored row))
        {
            int id = text.Next(row.Logits);
            FinishReason? finish =
                !generation.Request.IgnoreEndOfText && sequence.EndOfTextIds.Contains(id) ? FinishReason.Stop
                : text.Drawn + 1 >= limit ? FinishReason.Length
                : null;
            bool isGuessed = text.Add(id);
            drawn++;
            Publish(Describe(id, row, finish));
            if (!isGuessed || isFinished)
            {
                return;
            }

            // The row after this token is there already, since it was guessed.
            seen++;
        }
    }

    /// <returns>False where the row is undefined, and the request has failed.</returns>
    private bool TryRead(RowBatch rows, int first, int index, int count, out Scored row)
    {
        row = new(index, count, rows.Row(first + index).Span);
        return !FailsWithSequence();
    }

    private void LookAhead()
    {
        ahead = sequence.Expect(Segment(1).Tokens);
        if (!ahead.IsCompleted)
        {
            _ = ahead.ContinueWith(_ => wake.Set(), TaskScheduler.Default);
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
        if (trace is not null && generation.Request.Measured)
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

    /// <summary>One of the rows of a step, the first <paramref name="index"/> 0.</summary>
    private readonly ref struct Scored(int index, int count, ReadOnlySpan<float> logits)
    {
        public int Index { get; } = index;

        public int Count { get; } = count;

        public ReadOnlySpan<float> Logits { get; } = logits;
    }
}
