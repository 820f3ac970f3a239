using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Tokens that a model guesses one sequence to go on with, drawn as the real ones will be: by the same chain and with the same noise, so that
/// a guess is right wherever drafter and model agree on the draw, at any temperature.
/// </summary>
public sealed class Draft
{
    private readonly AnswerText text;
    private readonly bool stops;
    private int most;

    /// <param name="stops">Whether the text ends at an end-of-text id.</param>
    internal Draft(Sequence sequence, AnswerText text, bool stops) => (Sequence, this.text, this.stops) = (sequence, text, stops);

    public Sequence Sequence { get; }

    public int Guesses => text.Guesses;

    /// <summary>The token that the sequence does not have yet: the newest drawn, then the newest guess.</summary>
    public ReadOnlyMemory<int> Newest => text.Ids[^1..];

    /// <param name="guesses">How many are wanted.</param>
    internal Draft Wanting(int guesses)
    {
        most = guesses;
        return this;
    }

    /// <summary>Guesses the token after <see cref="Newest"/>.</summary>
    /// <param name="row">What the drafter gives after it, as wide as the whole model's rows.</param>
    /// <returns>Whether the drafter must append the guess too; false where there is none.</returns>
    public bool TryGuess(ReadOnlySpan<float> row)
    {
        if (Guesses == most)
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
            // Nothing can be drawn from this row. Whether that matters, the fused row will tell.
            return false;
        }

        if (stops && Sequence.EndOfTextIds.Contains(id))
        {
            // No row after it will be wanted.
            return false;
        }

        text.Guess(id);
        return true;
    }
}
