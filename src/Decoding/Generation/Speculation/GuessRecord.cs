namespace ProxyTune.Decoding.Generation;

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
