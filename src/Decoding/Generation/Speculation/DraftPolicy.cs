namespace ProxyTune.Decoding.Generation;

/// <summary>
/// Chooses the number of guesses from how earlier guesses turned out and how long passes took. A block of g guesses whose rate of right ones is p brings
///
///     E(g) = 1 + p + p^2 + ... + p^g = (1 - p^(g+1)) / (1 - p)
///
/// tokens (Leviathan et al. 2023, arXiv 2211.17192, equation 1). A step in which n sequences have blocks of at most g guesses, x of them
/// together, takes (g + 1) D + v + x s: passes D of the drafters over all of them, and what <see cref="BlockTime"/> measures, each for every
/// n. Chosen is the g, the same for all, with the most tokens per second; 0 is a plain step, which takes P. So a batch that is full enough
/// drafts nothing: its plain step costs little more than that of one sequence, while blocks of many cost more than that of one.
/// </summary>
/// <remarks>A sequence has no guesses that bring less than tokens of plain steps would in the same time: p^j &lt; s n / P.</remarks>
internal sealed class DraftPolicy(int most)
{
    /// <summary>Where nothing is guessed, one token in so many has one guess, to see whether that has changed.</summary>
    public const int ProbeEvery = 32;

    private const int OneMemory = 12;
    private const int AllMemory = 32;
    private const int FirstGuesses = 3;
    private const int PlainEvery = 64;
    private const int DraftsEvery = 1024;

    private readonly GuessRecord all = new(AllMemory);
    private readonly List<StepTimes> bySequences = [];

    public GuessRecord StartRecord() => new(OneMemory, all);

    /// <summary>Sets <see cref="GuessRecord.Wanted"/>.</summary>
    /// <param name="records">Of the sequences that can draft.</param>
    /// <param name="sequences">How many take part in the step, those without a drafter too.</param>
    public void Choose(IReadOnlyList<GuessRecord> records, int sequences)
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
            SetAll(records, FirstGuesses);
            return;
        }

        double plainRate = sequences / times.Plain.Seconds.Value;
        int best = Best(records, sequences, times);
        foreach (GuessRecord record in records)
        {
            record.Wanted = Guesses(record, best, times.Blocks.Position * plainRate);
        }

        if (best == 0 && Rate(records, sequences, most, times, assumed: 1) > plainRate)
        {
            Probe(records);
        }
    }

    /// <summary>Takes the time of the drafters' passes.</summary>
    public void AddDraft(int sequences, int passes, double seconds) => Of(sequences).Draft.Add(seconds / passes);

    /// <summary>Takes the time of a step's <see cref="Models.ILanguageModel.Forward"/>, with a draw for every sequence.</summary>
    /// <param name="rows">Positions, guesses among them.</param>
    /// <param name="hasDrafted">Whether drafters had run before.</param>
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

    private static void SetAll(IReadOnlyList<GuessRecord> records, int guesses)
    {
        foreach (GuessRecord record in records)
        {
            record.Wanted = Math.Min(guesses, record.Most);
        }
    }

    private static void Probe(IReadOnlyList<GuessRecord> records)
    {
        foreach (GuessRecord record in records)
        {
            record.Wanted = record.Unguessed >= ProbeEvery ? Math.Min(1, record.Most) : 0;
        }
    }

    private int Best(IReadOnlyList<GuessRecord> records, int sequences, StepTimes times)
    {
        (int guesses, double rate) = (0, sequences / times.Plain.Seconds!.Value);
        int longest = Math.Min(most, records.Max(static record => record.Most));
        for (int g = 1; g <= longest; g++)
        {
            double other = Rate(records, sequences, g, times);
            (guesses, rate) = other > rate ? (g, other) : (guesses, rate);
        }

        return guesses;
    }

    /// <summary>Tokens per second with at most so many guesses.</summary>
    private static double Rate(IReadOnlyList<GuessRecord> records, int sequences, int guesses, StepTimes times, double? assumed = null)
    {
        double plain = times.Plain.Seconds!.Value, tokens = sequences;
        int positions = 0, longest = 0;
        foreach (GuessRecord record in records)
        {
            int own = Guesses(record, guesses, times.Blocks.Position * sequences / plain, assumed);
            positions += own;
            longest = Math.Max(longest, own);
            double right = 1;
            for (int j = 1; j <= own; j++)
            {
                tokens += right *= assumed ?? record.Rate;
            }
        }

        // A step with drafts takes at least as long as a plain one with more passes of the drafters, even if measured shorter.
        double draft = times.Draft.Seconds!.Value, more = Math.Max(0, times.Blocks.Of(positions) + draft - plain);
        return tokens / (plain + (longest == 0 ? 0 : (longest * draft) + more));
    }

    /// <param name="worth">Tokens that plain steps bring in the time of one more position.</param>
    private static int Guesses(GuessRecord record, int limit, double worth, double? assumed = null)
    {
        int guesses = 0;
        double right = assumed ?? record.Rate;
        while (guesses < limit && guesses < record.Most && right > worth)
        {
            guesses++;
            right *= assumed ?? record.Rate;
        }

        return guesses;
    }
}

/// <summary>How guesses of one sequence, or of all, turned out, and what is wanted of the next draft.</summary>
/// <param name="memory">About how many guesses the rate looks back on.</param>
/// <param name="all">The record of all sequences: a new one starts from its rate, and adds to it.</param>
internal sealed class GuessRecord(int memory, GuessRecord? all = null)
{
    private const double Unknown = 0.7;

    /// <summary>Exponential average of right (1) and wrong (0) guesses; those behind a wrong one are not judged.</summary>
    public double Rate { get; private set; } = all?.Rate ?? Unknown;

    /// <summary>Tokens that were drawn since a guess was judged.</summary>
    public int Unguessed { get; private set; }

    /// <summary>Most guesses that the rest of the answer has use for.</summary>
    public int Most { get; set; }

    /// <summary>What the next draft should have; 0 for no draft.</summary>
    public int Wanted { get; set; }

    /// <param name="tokens">Drawn since the last call.</param>
    /// <param name="right">Guesses that were drawn.</param>
    /// <param name="wrong">Whether the next guess was not.</param>
    public void Add(int tokens, int right, bool wrong)
    {
        all?.Add(tokens, right, wrong);
        Unguessed = right > 0 || wrong ? 0 : Unguessed + tokens;
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
