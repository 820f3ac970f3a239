using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Helpers that compute rows of a model.</summary>
internal static class Rows
{
    /// <summary>Runs Forward once and returns the rows of all segments as separate arrays.</summary>
    public static float[][] Forward(ILanguageModel model, params Segment[] batch)
    {
        int width = model.Info.VocabularySize;
        float[] logits = new float[batch.Sum(s => s.Rows) * width];
        model.Forward(batch, logits);
        return [.. logits.Chunk(width)];
    }

    /// <summary>Computes the rows of the last positions of a fresh sequence.</summary>
    public static float[][] Fresh(ILanguageModel model, int[] tokens, int rows = 1)
    {
        using Sequence sequence = model.Start(Prompt.For(model, tokens));
        return Forward(model, new Segment(sequence, default, rows));
    }

    public static void AssertEqual(float[][] expected, float[][] actual, float tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int row = 0; row < expected.Length; row++)
        {
            for (int i = 0; i < expected[row].Length; i++)
            {
                Assert.True(
                    expected[row][i] == actual[row][i] || MathF.Abs(expected[row][i] - actual[row][i]) <= tolerance,
                    $"Row {row}, token {i}: {expected[row][i]} expected, {actual[row][i]} given.");
            }
        }
    }

    public static int[] Random(int seed, int length, int vocabularySize)
    {
        Random random = new(seed);
        int[] tokens = new int[length];
        for (int i = 0; i < length; i++)
        {
            tokens[i] = random.Next(vocabularySize);
        }

        return tokens;
    }
}
