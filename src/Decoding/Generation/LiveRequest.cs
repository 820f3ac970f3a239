using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Generation;

/// <summary>A request that has a sequence. Only the scheduler's thread touches it.</summary>
/// <remarks>
/// The tokens of a scored prompt go through the model like those of an answer, with several tokens in a step. The row before a token gives its
/// log-probability.
/// </remarks>
internal sealed class LiveRequest : IDisposable
{
    private readonly GenerationStream generation;
    private readonly ILanguageModel model;
    private readonly Sequence sequence;
    private readonly WakeEvent wake;

    // The first id of the text is the first token of the sequence.
    private readonly AnswerText text;
    private readonly AnswerDraft? draft;
    private readonly DraftRecord draftRecord;
    private readonly int limit;
    private int seen;
    private int drafted;
    private int drawn;
    private Task ahead = Task.CompletedTask;
    private bool isFinished;

    /// <param name="sequence">The sequence of <see cref="GenerationRequest.Start"/>.</param>
    /// <param name="wake">The event that is set when the request becomes ready.</param>
    /// <param name="draftRecord">The record of the request's drafts.</param>
    public LiveRequest(GenerationStream generation, ILanguageModel model, Sequence sequence, WakeEvent wake, DraftRecord draftRecord)
    {
        (this.generation, this.model, this.sequence, this.wake, this.draftRecord) = (generation, model, sequence, wake, draftRecord);
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

    public GenerationStream Generation => generation;

    public AdmissionQueue AdmissionQueue => generation.AdmissionQueue;

    /// <summary>Whether a step can run this request without waiting for a remote.</summary>
    public bool IsReady => ahead.IsCompleted;

    public bool IsOver => isFinished || generation.IsCancelled;

    /// <summary>Whether the prompt has tokens that are not scored yet.</summary>
    public bool IsScoring => seen + 1 < text.Known;

    /// <summary>The number of rows that the model can compute now: one after each known token.</summary>
    public int Rows => isFinished ? 0 : text.Count - seen - (limit == 0 ? 1 : 0);

    /// <summary>The number of prompt tokens that are computed before the step of the first row, or in that step.</summary>
    public int Pending
    {
        get
        {
            try
            {
                return isFinished ? 0 : sequence.Pending;
            }
            catch (Exception e)
            {
                Fail(ModelFailure.Of(model, e));
                return 0;
            }
        }
    }

    private FinishReason? EndOfPrompt => limit == 0 ? FinishReason.Length : null;

    /// <summary>The tokens that the model must compute for the next rows and for the rows after draft tokens. In the first step the prompt precedes them.</summary>
    /// <param name="rows">1 to <see cref="Rows"/>.</param>
    public Segment Segment(int rows) => new(sequence, text.Ids[Math.Max(seen, 1)..(seen + rows + text.Drafted)], rows + text.Drafted);

    /// <summary>Whether the next step draws from the row after the newest token.</summary>
    public bool IsDrawing => seen > 0 && !IsScoring;

    /// <summary>Sets <see cref="DraftRecord.MaxDraft"/> and returns the record, so that the policy can choose the draft's length; null if the request cannot draft.</summary>
    public DraftRecord? PrepareDraft()
    {
        // No row is needed after the last token of the answer.
        draftRecord.MaxDraft = limit - text.Drawn - 1;
        return draft is null || draftRecord.MaxDraft < 1 ? null : draftRecord;
    }

    /// <summary>The draft that the model fills before the next step; null for none.</summary>
    public IDraft? BeginDraft()
    {
        if (draft is null || draftRecord is not { MaxDraft: > 0, DraftLength: > 0 })
        {
            return null;
        }

        draft.MaxLength = draftRecord.DraftLength;
        return draft;
    }

    /// <returns>Whether the last call of the model failed for this request. The request then ends.</returns>
    public bool FailsWithSequence()
    {
        if (sequence.Fault is { } fault)
        {
            Fail(fault);
        }

        return sequence.Fault is not null;
    }

    /// <summary>
    /// Scores or draws a token from each row and publishes it, or fails. Draws continue while they equal the draft tokens. Several threads accept the
    /// requests of a step at the same time; <see cref="Settle"/> follows on the scheduler's thread.
    /// </summary>
    /// <param name="first">The index of the request's first row.</param>
    /// <param name="count">The number of the request's rows, without those after draft tokens.</param>
    public void Accept(RowBatch rows, int first, int count)
    {
        (drafted, drawn) = (text.Drafted, 0);
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

                if (!TryRead(rows, first, i, count + drafted, out Scored row))
                {
                    return;
                }

                Publish(Describe(text[seen], row, seen + 1 == text.Known ? EndOfPrompt : null) with { OfPrompt = true });
            }
        }
        catch (Exception e)
        {
            // The rows of a model may throw any exception. It ends this request only.
            drawn = 0;
            Fail(ModelFailure.Of(model, e));
        }
    }

    /// <summary>Makes the changes that reach beyond this request: rewinds rejected draft tokens, and records the acceptance.</summary>
    /// <returns>The tokens that the last step drew.</returns>
    public StepCount Settle()
    {
        if (drawn == 0)
        {
            return default;
        }

        int right = drawn - 1, wrong = drafted - right;
        try
        {
            if (sequence.Fault is null)
            {
                draftRecord.Add(drawn, right, wrong: wrong > 0);
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

        return StepCount.Of(drafted, drawn);
    }

    /// <returns>The number of computed prompt tokens.</returns>
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

    /// <param name="index">The index of the first row to draw from, among the request's rows. Rows after draft tokens follow it.</param>
    private void Draw(RowBatch rows, int first, int index)
    {
        int all = index + 1 + drafted;
        while (TryRead(rows, first, index + drawn, all, out Scored row))
        {
            int id = text.Next(row.Logits);
            FinishReason? finish =
                !generation.Request.IgnoreEndOfText && sequence.EndOfTextIds.Contains(id) ? FinishReason.Stop
                : text.Drawn + 1 >= limit ? FinishReason.Length
                : null;
            bool isAccepted = text.Add(id);
            drawn++;
            Publish(Describe(id, row, finish));
            if (!isAccepted || isFinished)
            {
                return;
            }

            // This token was drafted, so the row after it is computed.
            seen++;
        }
    }

    /// <returns>False if the row is undefined; the request has then failed.</returns>
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

    /// <summary>A row of the request in this step.</summary>
    /// <param name="index">The index of the row, from 0.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="logits">The row.</param>
    private readonly ref struct Scored(int index, int count, ReadOnlySpan<float> logits)
    {
        public int Index { get; } = index;

        public int Count { get; } = count;

        public ReadOnlySpan<float> Logits { get; } = logits;
    }
}
