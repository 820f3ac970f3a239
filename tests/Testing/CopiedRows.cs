using ProxyTune.Decoding.Models;

namespace ProxyTune.Testing;

/// <summary>Copies rows, so that they stay valid after the next call of a model.</summary>
public static class CopiedRows
{
    /// <summary>Runs Forward once and copies all rows.</summary>
    /// <param name="logits">Target, at least [sum of Rows, VocabularySize].</param>
    public static void Forward(this ILanguageModel model, IReadOnlyList<Segment> batch, Span<float> logits)
    {
        RowBatch rows = model.Forward(batch);
        for (int i = 0; i < rows.Count; i++)
        {
            rows.Row(i).Span.CopyTo(logits[(i * rows.Width)..]);
        }

        rows.Release();
    }
}
