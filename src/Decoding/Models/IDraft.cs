namespace ProxyTune.Decoding.Models;

/// <summary>
/// A continuation of one sequence that a model guesses. Guesses are drawn as the real tokens will be, by the same chain and with the same
/// noise, so a guess is right wherever drafter and model agree on the draw, at any temperature.
/// </summary>
public interface IDraft
{
    Sequence Sequence { get; }

    /// <summary>How many tokens are guessed so far.</summary>
    int Guesses { get; }

    /// <summary>The one token that the sequence does not have yet: the newest drawn, then the newest guess.</summary>
    ReadOnlyMemory<int> Newest { get; }

    /// <summary>Guesses the token after <see cref="Newest"/>.</summary>
    /// <param name="row">The drafter's row after it, as wide as the whole model's rows.</param>
    /// <returns>Whether the drafter must append the guess too; false where nothing was guessed, or no further guess is wanted.</returns>
    bool TryGuess(ReadOnlySpan<float> row);
}
