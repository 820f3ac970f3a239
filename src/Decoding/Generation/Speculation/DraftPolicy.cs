namespace ProxyTune.Decoding.Generation;

/// <summary>
/// Chooses the length of drafts from the acceptance of earlier drafts and the time of passes. A draft of g tokens with the acceptance rate p gives
///
///     E(g) = 1 + p + p^2 + ... + p^g = (1 - p^(g+1)) / (1 - p)
///
/// tokens (Leviathan et al. 2023, arXiv 2211.17192, equation 1). A step in which n sequences have drafts of at most g tokens, x tokens
/// together, takes (g + 1) D + v + x s. D is the time of one pass of the drafters over all sequences, and <see cref="BlockTime"/> measures v and s.
/// All three are measured for every n. The policy chooses one g for all sequences, the one with the most tokens per second. g = 0 is a plain step, which
/// takes P. A full batch drafts nothing: its plain step costs little more than that of one sequence, but scoring its drafts costs more.
/// </summary>
/// <remarks>A sequence drafts no token j whose acceptance is below the yield of plain steps in the same time: p^j &lt; s n / P.</remarks>
internal sealed class DraftPolicy(int maxDraft)
{
    /// <summary>Without drafts, one in this many tokens still has a draft of one token, so that the policy notices a change of the acceptance.</summary>
    public const int ProbeEvery = 32;

    private const int OneMemory = 12;
    private const int AllMemory = 32;
    private const int FirstLength = 3;
    private const int PlainEvery = 64;
    private const int DraftsEvery = 1024;

    private readonly DraftRecord all = new(AllMemory);
    private readonly List<StepTimes> bySequences = [];

    public DraftRecord StartRecord() => new(OneMemory, all);

    /// <summary>Sets <see cref="DraftRecord.DraftLength"/> of each record.</summary>
    /// <param name="records">The records of the sequences that can draft.</param>
    /// <param name="sequences">The number of sequences in the step, including those without a drafter.</param>
    public void Choose(IReadOnlyList<DraftRecord> records, int sequences)
    {
        StepTimes times = Of(sequences);
        if (times.Plain.Seconds is null || times.IsStale(drafts: true, PlainEvery))
        {
            SetAll(records, 0);
            return;
        }

        if (times.IsStale(drafts: false, DraftsEvery))
        {
            times.Blocks.Forget();
        }

        if (times.Draft.Seconds is null || !times.Blocks.IsKnown)
        {
            SetAll(records, FirstLength);
            return;
        }

        double plainRate = sequences / times.Plain.Seconds.Value;
        int best = Best(records, sequences, times);
        foreach (DraftRecord record in records)
        {
            record.DraftLength = Length(record, best, times.Blocks.Position * plainRate);
        }

        if (best == 0 && Rate(records, sequences, maxDraft, times, assumed: 1) > plainRate)
        {
            Probe(records);
        }
    }

    /// <summary>Adds the measured time of the drafters' passes.</summary>
    public void AddDraft(int sequences, int passes, double seconds) => Of(sequences).Draft.Add(seconds / passes);

    /// <summary>Adds the measured time of a step's <see cref="Models.ILanguageModel.Forward"/>, with a draw for every sequence.</summary>
    /// <param name="rows">The number of positions, including draft tokens.</param>
    /// <param name="hasDrafted">True if the drafters ran in this step.</param>
    public void AddForward(int sequences, int rows, bool hasDrafted, double seconds)
    {
        StepTimes times = Of(sequences);
        times.Count(hasDrafted);
        if (hasDrafted)
        {
            times.Blocks.Add(rows - sequences, seconds);
        }
        else
        {
            times.Plain.Add(seconds);
        }
    }

    private StepTimes Of(int sequences)
    {
        while (bySequences.Count <= sequences)
        {
            bySequences.Add(new());
        }

        return bySequences[sequences];
    }

    private static void SetAll(IReadOnlyList<DraftRecord> records, int length)
    {
        foreach (DraftRecord record in records)
        {
            record.DraftLength = Math.Min(length, record.MaxDraft);
        }
    }

    private static void Probe(IReadOnlyList<DraftRecord> records)
    {
        foreach (DraftRecord record in records)
        {
            record.DraftLength = record.TokensSinceDraft >= ProbeEvery ? Math.Min(1, record.MaxDraft) : 0;
        }
    }

    private int Best(IReadOnlyList<DraftRecord> records, int sequences, StepTimes times)
    {
        (int length, double rate) = (0, sequences / times.Plain.Seconds!.Value);
        int longest = Math.Min(maxDraft, records.Max(static record => record.MaxDraft));
        for (int g = 1; g <= longest; g++)
        {
            double other = Rate(records, sequences, g, times);
            (length, rate) = other > rate ? (g, other) : (length, rate);
        }

        return length;
    }

    /// <summary>The expected tokens per second for drafts of at most <paramref name="length"/> tokens.</summary>
    private static double Rate(IReadOnlyList<DraftRecord> records, int sequences, int length, StepTimes times, double? assumed = null)
    {
        double plain = times.Plain.Seconds!.Value, tokens = sequences;
        int positions = 0, longest = 0;
        foreach (DraftRecord record in records)
        {
            int own = Length(record, length, times.Blocks.Position * sequences / plain, assumed);
            positions += own;
            longest = Math.Max(longest, own);
            double right = 1;
            for (int j = 1; j <= own; j++)
            {
                tokens += right *= assumed ?? record.Rate;
            }
        }

        // A step with drafts takes at least as long as a plain step plus the extra passes of the drafters. Measurements can be below that.
        double draft = times.Draft.Seconds!.Value, more = Math.Max(0, times.Blocks.Of(positions) + draft - plain);
        return tokens / (plain + (longest == 0 ? 0 : (longest * draft) + more));
    }

    /// <param name="worth">The number of tokens that plain steps yield in the time of one more position.</param>
    private static int Length(DraftRecord record, int limit, double worth, double? assumed = null)
    {
        int length = 0;
        double right = assumed ?? record.Rate;
        while (length < limit && length < record.MaxDraft && right > worth)
        {
            length++;
            right *= assumed ?? record.Rate;
        }

        return length;
    }
}

/// <summary>The acceptance of the drafts of one sequence, or of all sequences, and the length of the next draft.</summary>
/// <param name="memory">The approximate number of draft tokens that the rate averages over.</param>
/// <param name="all">The record of all sequences. A new record starts from its rate and adds to it.</param>
internal sealed class DraftRecord(int memory, DraftRecord? all = null)
{
    private const double Unknown = 0.7;

    /// <summary>The exponential average of accepted (1) and rejected (0) draft tokens. Tokens after a rejected one do not count.</summary>
    public double Rate { get; private set; } = all?.Rate ?? Unknown;

    /// <summary>The number of tokens drawn since the last draft token was accepted or rejected.</summary>
    public int TokensSinceDraft { get; private set; }

    /// <summary>The largest useful length of a draft, from the rest of the answer.</summary>
    public int MaxDraft { get; set; }

    /// <summary>The length of the next draft in tokens; 0 for no draft.</summary>
    public int DraftLength { get; set; }

    /// <summary>Adds the result of a step.</summary>
    /// <param name="tokens">The number of tokens drawn since the last call.</param>
    /// <param name="right">The number of accepted draft tokens.</param>
    /// <param name="wrong">True if a draft token was rejected.</param>
    public void Add(int tokens, int right, bool wrong)
    {
        all?.Add(tokens, right, wrong);
        TokensSinceDraft = right > 0 || wrong ? 0 : TokensSinceDraft + tokens;
        for (int i = 0; i < right; i++)
        {
            Rate += (1 - Rate) / memory;
        }

        if (wrong)
        {
            Rate -= Rate / memory;
        }
    }
}
