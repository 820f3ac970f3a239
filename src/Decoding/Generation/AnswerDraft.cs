using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Generation;

/// <summary>Guesses of one answer's next tokens.</summary>
/// <param name="stops">Whether the text ends at an end-of-text id.</param>
internal sealed class AnswerDraft(Sequence sequence, AnswerText text, bool stops) : IDraft
{
    public Sequence Sequence => sequence;

    public int Guesses => text.Guesses;

    public ReadOnlyMemory<int> Newest => text.Ids[^1..];

    /// <summary>How many guesses are wanted.</summary>
    public int Wanted { get; set; }

    public bool TryGuess(ReadOnlySpan<float> row)
    {
        if (Guesses == Wanted)
        {
            return false;
        }

        int id;
        try
        {
            id = text.NextGuess(row);
        }
        catch (EngineException)
        {
            // Nothing can be drawn from this row. The fused row tells whether that matters.
            return false;
        }

        if (stops && sequence.EndOfTextIds.Contains(id))
        {
            // No row after it will be wanted.
            return false;
        }

        text.Guess(id);
        return true;
    }
}
