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

    /// <summary>Begins a sequence. Its prompt is computed by the first <see cref="Forward"/> that names it, but for what <see cref="Prefill"/> did before.</summary>
    /// <exception cref="EngineException">QueueFull when the model holds as many sequences as it can; PromptTooLong.</exception>
    Sequence Start(Prompt prompt);

    /// <summary>
    /// Computes some of a sequence's prompt ahead of <see cref="Forward"/>, so that others need not wait until a long prompt is computed as
    /// a whole. Does nothing where Forward would not have more than that many positions to compute.
    /// </summary>
    /// <param name="positions">Most positions; where the sequence consists of streams, of each of them.</param>
    /// <returns>Positions computed; the most of any stream.</returns>
    /// <exception cref="EngineException">The sequence is lost, and no other.</exception>
    int Prefill(Sequence sequence, int positions) => 0;

    /// <summary>
    /// Appends each segment's tokens to its sequence (after tokens that the sequence has not computed yet, such as its prompt).
    /// <see cref="Sequence.Fault"/> tells of a failure of a single sequence; an exception means that every sequence of the batch is lost.
    /// </summary>
    /// <param name="batch">At most one segment per sequence.</param>
    /// <returns>
    /// The logits of the last <see cref="Segment.Rows"/> positions of each segment, one segment after the other: [sum of Rows,
    /// VocabularySize]. Valid until the next call of the model. A row that is never read costs nothing beyond the passes and counts for
    /// nothing, such as the row after a wrong guess.
    /// </returns>
    RowBatch Forward(IReadOnlyList<Segment> batch);

    /// <summary>
    /// Lets a cheaper part of the model guess how sequences go on, so that one <see cref="Forward"/> scores several positions of each. That
    /// Forward must be the next call that names the sequences, and append what was newest and the guesses; wrong ones are rewound then.
    /// A failure of single sequences is told by <see cref="Sequence.Fault"/>. The default guesses nothing.
    /// </summary>
    /// <param name="batch">At most one draft per sequence, of sequences whose prompts are computed; any may be left without a guess.</param>
    void Draft(IReadOnlyList<IDraft> batch)
    {
    }
}
