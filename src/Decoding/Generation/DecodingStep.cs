using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Generation;

/// <summary>
/// One step of all live requests: drafts if they save time, one <see cref="ILanguageModel.Forward"/>, then draws or scores of prompt tokens for each
/// request. Plain decoding is a step without drafts.
/// </summary>
internal sealed class DecodingStep(ILanguageModel model, SchedulerOptions options)
{
    // A scored prompt has a row for every position. This limits the memory of these rows to 16 MiB, for each member too.
    private const int MaxScoringLogits = 1 << 22;

    private readonly RowWorkers workers = new(options.Workers);
    private readonly List<(LiveRequest Request, int Rows)> scheduled = [];
    private readonly List<int> first = [];
    private readonly DraftPolicy policy = new(options.MaxDraft);
    private readonly List<DraftRecord> records = [];
    private readonly List<IDraft> drafts = [];
    private readonly List<Segment> batch = [];
    private readonly Turns turns = new();
    private RowBatch? rows;
    private bool isMeasured;

    /// <summary>Makes the draft record of a new request.</summary>
    public DraftRecord StartRecord() => policy.StartRecord();

    /// <param name="promptTokens">The largest number of prompt tokens to score, for all requests together. At least one is scored.</param>
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
            // A model may throw any exception, and the loop must continue.
            EngineException failure = ModelFailure.Of(model, e);
            scheduled.ForEach(one => one.Request.Fail(failure));
            return default;
        }

        if (scheduled.Count == 0)
        {
            return default;
        }

        AcceptAll(width);
        StepCount count = default;
        foreach ((LiveRequest request, _) in scheduled)
        {
            count += request.Settle();
        }

        return count;
    }

    /// <summary>
    /// Schedules one row for each request that draws, and shares the allowed number of rows among scored prompts. No request that draws has to wait.
    /// </summary>
    private void Gather(IReadOnlyList<LiveRequest> live, int spare)
    {
        scheduled.Clear();
        int scored = 0;
        foreach (LiveRequest request in live)
        {
            scored += request.IsScoring ? 1 : 0;
        }

        int share = PrefillStep.Share(spare, scored);
        foreach (LiveRequest request in turns.Order(live))
        {
            int rows = Math.Min(request.Rows, request.IsScoring ? Math.Min(share, spare) : 1);
            if (rows > 0)
            {
                spare -= request.IsScoring ? rows : 0;
                scheduled.Add((request, rows));
            }
            else if (request.Rows > 0)
            {
                turns.Missed(request);
            }
        }
    }

    private void Draft()
    {
        drafts.Clear();
        records.Clear();

        // The prompt determines the time of a step with a prompt, so that time is not used for drafts.
        isMeasured = scheduled.TrueForAll(static one => one.Request.IsDrawing);
        if (!isMeasured || options.MaxDraft == 0)
        {
            return;
        }

        foreach ((LiveRequest request, _) in scheduled)
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
        foreach ((LiveRequest request, _) in scheduled)
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
            policy.AddDraft(scheduled.Count, drafts.Max(static draft => draft.Length) + 1, options.Clock.GetElapsedTime(start).TotalSeconds);
            scheduled.RemoveAll(static one => one.Request.FailsWithSequence());
        }
    }

    private void Choose()
    {
        if (!options.AlwaysDraft)
        {
            policy.Choose(records, scheduled.Count);
            return;
        }

        foreach (DraftRecord record in records)
        {
            record.DraftLength = Math.Min(options.MaxDraft, record.MaxDraft);
        }
    }

    private void AcceptAll(int width)
    {
        if ((long)rows!.Count * width >= options.SharedLogits)
        {
            workers.Run(scheduled.Count, Accept);
            return;
        }

        for (int i = 0; i < scheduled.Count; i++)
        {
            Accept(i);
        }
    }

    private void Accept(int which) => scheduled[which].Request.Accept(rows!, first[which], scheduled[which].Rows);

    private void Forward()
    {
        batch.Clear();
        first.Clear();
        int positions = 0;
        foreach ((LiveRequest request, int rows) in scheduled)
        {
            Segment segment = request.Segment(rows);
            batch.Add(segment);
            first.Add(positions);
            positions += segment.Rows;
        }

        if (batch.Count == 0)
        {
            return;
        }

        long start = options.Clock.GetTimestamp();
        rows?.Release();
        rows = null;
        rows = model.Forward(batch);
        if (isMeasured)
        {
            policy.AddForward(batch.Count, positions, drafts.Count > 0, options.Clock.GetElapsedTime(start).TotalSeconds);
        }
    }
}

/// <summary>The counts of a step.</summary>
/// <param name="Tokens">The number of drawn tokens.</param>
/// <param name="Blocks">The number of sequences with drawn tokens.</param>
/// <param name="Drafted">The number of draft tokens.</param>
/// <param name="Accepted">The number of accepted draft tokens.</param>
internal readonly record struct StepCount(int Tokens, int Blocks, int Drafted, int Accepted)
{
    /// <summary>The counts of one sequence.</summary>
    public static StepCount Of(int drafted, int tokens) => tokens == 0 ? default : new(tokens, 1, drafted, tokens - 1);

    public static StepCount operator +(StepCount one, StepCount other) =>
        new(one.Tokens + other.Tokens, one.Blocks + other.Blocks, one.Drafted + other.Drafted, one.Accepted + other.Accepted);
}

/// <summary>Prefill between two steps. It computes prompts that are too long for one step in pieces.</summary>
/// <param name="budget">The largest number of prompt tokens between two steps, including those that the next step itself computes.</param>
internal sealed class PrefillStep(int budget)
{
    // Shorter pieces would use the processor badly.
    private const int ShortestPiece = 64;

    private readonly Turns turns = new();

    /// <summary>Shares the budget among prompts, and finds the requests of the next step.</summary>
    /// <param name="ready">Receives the requests of the next step. They do not wait for a remote, and the step can compute the rest of their prompts.</param>
    /// <returns>The rest of the budget, and whether anything was computed.</returns>
    public (int Left, bool HasRun) Run(IReadOnlyList<LiveRequest> live, List<LiveRequest> ready)
    {
        ready.Clear();
        int prompts = 0;
        foreach (LiveRequest request in live)
        {
            prompts += request.Pending > 0 || request.IsScoring ? 1 : 0;
        }

        int share = Share(budget, prompts), left = budget;
        bool hasRun = false;
        foreach (LiveRequest request in turns.Order(live))
        {
            int piece = Math.Min(share, left);
            if (piece == 0 && request.Pending > 0)
            {
                turns.Missed(request);
                continue;
            }

            if (request.Pending > piece)
            {
                int computed = request.Prefill(piece);
                left -= computed;
                piece -= computed;
                hasRun = true;
            }

            int pending = request.Pending;
            if (pending <= piece && request.IsReady)
            {
                left -= pending;
                ready.Add(request);
            }
        }

        return (left, hasRun);
    }

    /// <summary>The number of tokens of each of several prompts in one step.</summary>
    public static int Share(int budget, int prompts) => Math.Min(budget, Math.Max(ShortestPiece, budget / Math.Max(1, prompts)));
}

/// <summary>The order in which requests share what does not suffice for all of them: a request that got nothing is the first of the next step.</summary>
internal sealed class Turns
{
    private readonly List<LiveRequest> order = [];
    private LiveRequest? next;

    public List<LiveRequest> Order(IReadOnlyList<LiveRequest> all)
    {
        order.Clear();
        order.AddRange(all);
        int first = next is null ? 0 : order.IndexOf(next);
        next = null;
        if (first > 0)
        {
            order.AddRange(order[..first]);
            order.RemoveRange(0, first);
        }

        return order;
    }

    /// <summary>Called for a request that got nothing.</summary>
    public void Missed(LiveRequest request) => next ??= request;
}
