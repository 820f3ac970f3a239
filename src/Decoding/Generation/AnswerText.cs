using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Generation;

/// <summary>The ids of one answer: the known ids before it, the drawn ids, and the draft tokens after them.</summary>
internal sealed class AnswerText
{
    private readonly GenerationRequest request;
    private readonly TokenCounts counts = new();
    private int[] ids;

    /// <param name="known">The prompt if it is scored, else the prompt's last token.</param>
    public AnswerText(GenerationRequest request, ReadOnlySpan<int> known)
    {
        this.request = request;
        ids = [.. known];
        Known = Count = known.Length;
    }

    public int Known { get; }

    /// <summary>The number of known and drawn ids.</summary>
    public int Count { get; private set; }

    /// <summary>The number of drawn ids.</summary>
    public int Drawn => Count - Known;

    /// <summary>The number of draft tokens, which may still be rejected.</summary>
    public int Drafted { get; private set; }

    /// <summary>All ids, draft tokens last.</summary>
    public ReadOnlyMemory<int> Ids => ids.AsMemory(0, Count + Drafted);

    public int this[int index] => ids[index];

    /// <summary>Samples from the row after the drawn ids.</summary>
    public int Next(ReadOnlySpan<float> row) => Sampler.Next(row, counts, [], request.Sampling, Drawn);

    /// <summary>Samples from the row after the draft tokens. It is the later draw if they are accepted and this row equals the fused one.</summary>
    public int NextDraft(ReadOnlySpan<float> row) => Sampler.Next(row, counts, ids.AsSpan(Count, Drafted), request.Sampling, Drawn + Drafted);

    public void AddDraft(int id)
    {
        Set(Count + Drafted, id);
        Drafted++;
    }

    /// <summary>Appends a drawn id.</summary>
    /// <returns>Whether the id was the next draft token. If not, all draft tokens are removed.</returns>
    public bool Add(int id)
    {
        bool isAccepted = Drafted > 0 && ids[Count] == id;
        Set(Count, id);
        counts.Add(id);
        Count++;
        Drafted = isAccepted ? Drafted - 1 : 0;
        return isAccepted;
    }

    private void Set(int index, int id)
    {
        if (index == ids.Length)
        {
            Array.Resize(ref ids, Math.Max(16, 2 * ids.Length));
        }

        ids[index] = id;
    }
}

/// <summary>The draft of one answer's next tokens.</summary>
/// <param name="stops">True if the text ends at an end-of-text id.</param>
internal sealed class AnswerDraft(Sequence sequence, AnswerText text, bool stops) : IDraft
{
    public Sequence Sequence => sequence;

    public int Length => text.Drafted;

    public ReadOnlyMemory<int> Newest => text.Ids[^1..];

    /// <summary>The number of draft tokens at which the draft is complete.</summary>
    public int MaxLength { get; set; }

    public bool TryDraft(ReadOnlySpan<float> row)
    {
        if (Length == MaxLength)
        {
            return false;
        }

        int id;
        try
        {
            id = text.NextDraft(row);
        }
        catch (EngineException)
        {
            // No token can be drawn from this row. The fused row can still have one, so this is not an error.
            return false;
        }

        if (stops && sequence.EndOfTextIds.Contains(id))
        {
            // The answer ends at this token if it is drawn, so no row after it is needed.
            return false;
        }

        text.AddDraft(id);
        return true;
    }
}
