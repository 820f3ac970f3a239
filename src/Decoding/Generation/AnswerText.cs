using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Generation;

/// <summary>The ids of one answer as they grow: what is known before it, what was drawn, and behind that what is only guessed.</summary>
internal sealed class AnswerText
{
    private readonly GenerationRequest request;
    private int[] ids;

    /// <param name="known">The prompt where it is scored, else its last token alone.</param>
    public AnswerText(GenerationRequest request, ReadOnlySpan<int> known)
    {
        this.request = request;
        ids = [.. known];
        Known = Count = known.Length;
    }

    public int Known { get; }

    /// <summary>Ids that are known or drawn.</summary>
    public int Count { get; private set; }

    /// <summary>Ids of the answer.</summary>
    public int Drawn => Count - Known;

    /// <summary>Ids behind those that may turn out wrong.</summary>
    public int Guesses { get; private set; }

    /// <summary>All of them, guesses last.</summary>
    public ReadOnlyMemory<int> Ids => ids.AsMemory(0, Count + Guesses);

    public int this[int index] => ids[index];

    /// <summary>The draw from the row after what is drawn.</summary>
    public int Next(ReadOnlySpan<float> row) => Sample(row, Count);

    /// <summary>The same for the row after the guesses: what the draw will be if they are right and this row is the fused one.</summary>
    public int NextGuess(ReadOnlySpan<float> row) => Sample(row, Count + Guesses);

    public void Guess(int id)
    {
        Set(Count + Guesses, id);
        Guesses++;
    }

    /// <summary>Appends what was drawn.</summary>
    /// <returns>Whether that was the next guess; if not, the later ones are gone too.</returns>
    public bool Add(int id)
    {
        bool isGuessed = Guesses > 0 && ids[Count] == id;
        Set(Count, id);
        Count++;
        Guesses = isGuessed ? Guesses - 1 : 0;
        return isGuessed;
    }

    private int Sample(ReadOnlySpan<float> row, int end) => Sampler.Next(row, ids.AsSpan(Known, end - Known), request.Sampling, end - Known);

    private void Set(int index, int id)
    {
        if (index == ids.Length)
        {
            Array.Resize(ref ids, Math.Max(16, 2 * ids.Length));
        }

        ids[index] = id;
    }
}

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
