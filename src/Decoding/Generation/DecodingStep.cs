using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Generation;

/// <summary>
/// One step of all live requests: drafts where they pay, one <see cref="ILanguageModel.Forward"/>, then draws, or scores of prompt tokens, per
/// request. Plain decoding is a step without guesses.
/// </summary>
internal sealed class DecodingStep(ILanguageModel model, SchedulerOptions options)
{
    // Prompts to score have a row for every position, so this bounds their memory (to 16 MiB, for each member too).
    private const int MaxScoringLogits = 1 << 22;

    private readonly RowWorkers workers = new(options.Workers);
    private readonly List<(LiveRequest Request, int Rows)> taking = [];
    private readonly List<int> first = [];
    private readonly DraftPolicy policy = new(options.MaxDraft);
    private readonly List<GuessRecord> records = [];
    private readonly List<IDraft> drafts = [];
    private readonly List<Segment> batch = [];
    private RowBatch? rows;
    private bool isMeasured;

    /// <summary>Of a new request.</summary>
    public GuessRecord StartRecord() => policy.StartRecord();

    /// <param name="promptTokens">How many prompt tokens may be scored, all requests together; one is scored in any case.</param>
    public StepCount Run(IReadOnlyList<LiveRequest> live, int promptTokens)
    {
        int width = model.Info.VocabularySize;
        Gather(live, Math.Max(1, Math.Min(promptTokens, MaxScoringLogits / width)));
        try
        {
            Draft();
            Forward();
        }
        catch (Exception e)
        {
            // A model may throw anything; the loop must survive it.
            EngineException failure = ModelFailure.Of(model, e);
            taking.ForEach(one => one.Request.Fail(failure));
            return default;
        }

        if (taking.Count == 0)
        {
            return default;
        }

        AcceptAll(width);
        StepCount count = default;
        foreach ((LiveRequest request, _) in taking)
        {
            count += request.Settle();
        }

        return count;
    }

    /// <summary>
    /// One row for each request that draws, and as many as are allowed for prompts, the oldest first: a long chunk of one prompt is faster than
    /// short ones of many, and no request that draws waits.
    /// </summary>
    private void Gather(IReadOnlyList<LiveRequest> live, int spare)
    {
        taking.Clear();
        foreach (LiveRequest request in live)
        {
            int rows = Math.Min(request.Rows, request.IsScoring ? spare : 1);
            if (rows > 0)
            {
                spare -= request.IsScoring ? rows : 0;
                taking.Add((request, rows));
            }
        }
    }

    private void Draft()
    {
        drafts.Clear();
        records.Clear();

        // A step with a prompt takes as long as the prompt, so its time is no measure of drafts.
        isMeasured = taking.TrueForAll(static one => one.Request.IsDrawing);
        if (!isMeasured || options.MaxDraft == 0)
        {
            return;
        }

        foreach ((LiveRequest request, _) in taking)
        {
            if (request.PrepareDraft() is { } record)
            {
                records.Add(record);
            }
        }

        if (records.Count == 0)
        {
            return;
        }

        Choose();
        foreach ((LiveRequest request, _) in taking)
        {
            if (request.BeginDraft() is { } draft)
            {
                drafts.Add(draft);
            }
        }

        if (drafts.Count > 0)
        {
            long start = options.Clock.GetTimestamp();
            model.Draft(drafts);
            policy.AddDraft(taking.Count, drafts.Max(static draft => draft.Guesses) + 1, options.Clock.GetElapsedTime(start).TotalSeconds);
            taking.RemoveAll(static one => one.Request.FailsWithSequence());
        }
    }

    private void Choose()
    {
        if (!options.AlwaysDraft)
        {
            policy.Choose(records, taking.Count);
            return;
        }

        foreach (GuessRecord record in records)
        {
            record.Wanted = Math.Min(options.MaxDraft, record.Most);
        }
    }

    private void AcceptAll(int width)
    {
        if ((long)rows!.Count * width >= options.SharedLogits)
        {
            workers.Run(taking.Count, Accept);
            return;
        }

        for (int i = 0; i < taking.Count; i++)
        {
            Accept(i);
        }
    }

    private void Accept(int which) => taking[which].Request.Accept(rows!, first[which], taking[which].Rows);

    private void Forward()
    {
        batch.Clear();
        first.Clear();
        int positions = 0;
        foreach ((LiveRequest request, int wanted) in taking)
        {
            Segment segment = request.Segment(wanted);
            batch.Add(segment);
            first.Add(positions);
            positions += segment.Rows;
        }

        if (batch.Count == 0)
        {
            return;
        }

        long start = options.Clock.GetTimestamp();
        rows = model.Forward(batch);
        if (isMeasured)
        {
            policy.AddForward(batch.Count, positions, drafts.Count > 0, options.Clock.GetElapsedTime(start).TotalSeconds);
        }
    }
}

/// <summary>What a step did.</summary>
/// <param name="Tokens">Drawn.</param>
/// <param name="Blocks">How many sequences had tokens drawn.</param>
internal readonly record struct StepCount(int Tokens, int Blocks, int Guesses, int RightGuesses)
{
    /// <summary>Of one sequence.</summary>
    public static StepCount Of(int guesses, int tokens) => tokens == 0 ? default : new(tokens, 1, guesses, tokens - 1);

    public static StepCount operator +(StepCount one, StepCount other) =>
        new(one.Tokens + other.Tokens, one.Blocks + other.Blocks, one.Guesses + other.Guesses, one.RightGuesses + other.RightGuesses);
}

/// <summary>Prefill between two steps: prompts that are too long for one step are computed in pieces before it.</summary>
internal static class PrefillStep
{
    /// <summary>Spends the budget on prompts, the oldest request first, and finds the requests of the next step.</summary>
    /// <param name="budget">How many prompt tokens may be computed, those that the step itself will compute among them.</param>
    /// <param name="ready">Receives the requests that need not wait for a remote and that have their prompt computed, or can have it computed by the step.</param>
    /// <returns>The rest of the budget, and whether anything was computed.</returns>
    public static (int Left, bool HasRun) Run(IReadOnlyList<LiveRequest> live, int budget, List<LiveRequest> ready)
    {
        ready.Clear();
        bool hasRun = false;
        foreach (LiveRequest request in live)
        {
            if (request.Pending > budget && budget > 0)
            {
                budget -= request.Prefill(budget);
                hasRun = true;
            }

            int pending = request.Pending;
            if (pending <= budget && request.IsReady)
            {
                budget -= pending;
                ready.Add(request);
            }
        }

        return (budget, hasRun);
    }
}
