using ProxyTune.Decoding.Models;

namespace ProxyTune.Testing;

/// <summary>Rows that outlive the next call of a model.</summary>
public static class CopiedRows
{
    /// <summary>One Forward that copies all rows.</summary>
    /// <param name="logits">At least [sum of Rows, VocabularySize].</param>
    public static void Forward(this ILanguageModel model, IReadOnlyList<Segment> batch, Span<float> logits)
    {
        RowBatch rows = model.Forward(batch);
        for (int i = 0; i < rows.Count; i++)
        {
            rows.Row(i).Span.CopyTo(logits[(i * rows.Width)..]);
        }
    }
}
