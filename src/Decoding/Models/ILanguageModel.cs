using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// A model that continues token sequences. Batch-shaped and synchronous: one call serves prefill, decoding and verification.
/// </summary>
/// <remarks>
/// Not thread-safe. The decode scheduler's thread is the only caller of <see cref="Start"/>, <see cref="Prefill"/>, <see cref="Forward"/>,
/// <see cref="Sequence.Rewind"/> and <see cref="Sequence.Dispose()"/>. <see cref="Info"/> may be read by any thread.
/// </remarks>
public interface ILanguageModel : IDisposable
{
    ModelInfo Info { get; }

    /// <summary>Begins a sequence. The first <see cref="Forward"/> that names it computes its prompt, except for the part that <see cref="Prefill"/> computed before.</summary>
    /// <exception cref="EngineException">QueueFull when the model holds as many sequences as it can; PromptTooLong.</exception>
    Sequence Start(Prompt prompt);

    /// <summary>
    /// Computes some of a sequence's prompt ahead of <see cref="Forward"/>, so that other sequences do not wait for a whole long
    /// prompt. Does nothing where Forward would compute at most that many positions.
    /// </summary>
    /// <param name="positions">Most positions; where the sequence consists of streams, of each of them.</param>
    /// <returns>Positions computed; the most of any stream.</returns>
    /// <exception cref="EngineException">The sequence is lost, and no other.</exception>
    int Prefill(Sequence sequence, int positions) => 0;

    /// <summary>
    /// Appends each segment's tokens to its sequence (after tokens that the sequence has not computed yet, such as its prompt).
    /// <see cref="Sequence.Fault"/> reports a failure of a single sequence; an exception means that every sequence of the batch is lost.
    /// </summary>
    /// <param name="batch">At most one segment per sequence.</param>
    /// <returns>
    /// The logits of the last <see cref="Segment.Rows"/> positions of each segment, one segment after the other: [sum of Rows,
    /// VocabularySize]. Valid until the next call of the model. A row that is never read costs nothing beyond the passes and counts for
    /// nothing, such as the row after a wrong guess.
    /// </returns>
    RowBatch Forward(IReadOnlyList<Segment> batch);

    /// <summary>
    /// Lets a cheaper part of the model guess how sequences continue, so that one <see cref="Forward"/> scores several positions of each. That
    /// Forward must be the next call that names the sequences, and append what was newest and the guesses; wrong ones are rewound then.
    /// <see cref="Sequence.Fault"/> reports a failure of a single sequence. The default guesses nothing.
    /// </summary>
    /// <param name="batch">At most one draft per sequence, of sequences whose prompts are computed; any may be left without a guess.</param>
    void Draft(IReadOnlyList<IDraft> batch)
    {
    }
}

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
