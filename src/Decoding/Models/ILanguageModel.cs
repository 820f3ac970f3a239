namespace ProxyTune.Decoding.Models;

/// <summary>
/// A model that continues token sequences. Batch-shaped and synchronous: one call serves prefill, decoding and verification.
/// </summary>
/// <remarks>Not thread-safe. The decode scheduler's thread is the only caller of <see cref="Start"/>, <see cref="Forward"/>, <see cref="Sequence.Rewind"/> and <see cref="Sequence.Dispose()"/>.</remarks>
public interface ILanguageModel : IDisposable
{
    ModelInfo Info { get; }

    /// <summary>Begins a sequence. Its prompt is computed by the first <see cref="Forward"/> that names it.</summary>
    Sequence Start(Prompt prompt);

    /// <summary>
    /// Appends each segment's tokens to its sequence (after whatever the sequence has not computed yet, such as its prompt) and writes
    /// the logits of the last <see cref="Segment.Rows"/> positions of each segment, one after the other.
    /// </summary>
    /// <param name="batch">At most one segment per sequence.</param>
    /// <param name="logits">[sum of Rows, VocabularySize], float32.</param>
    void Forward(IReadOnlyList<Segment> batch, Span<float> logits);
}

/// <summary>Tokens to append to one sequence, and how many of the newest positions' logits are wanted.</summary>
/// <param name="Tokens">May be empty when the sequence still has its prompt to compute.</param>
/// <param name="Rows">At least 1, at most the number of positions that this call computes.</param>
public readonly record struct Segment(Sequence Sequence, ReadOnlyMemory<int> Tokens, int Rows = 1);

/// <summary>What one model remembers of one conversation.</summary>
public abstract class Sequence : IDisposable
{
    /// <summary>Tokens in the sequence: prompt and appended ones.</summary>
    public abstract int Length { get; }

    /// <summary>How many tokens can still be appended.</summary>
    public abstract int Room { get; }

    /// <summary>Forgets the newest tokens.</summary>
    /// <param name="count">How many appended tokens to drop; the prompt cannot be dropped.</param>
    public abstract void Rewind(int count);

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected abstract void Dispose(bool disposing);
}
