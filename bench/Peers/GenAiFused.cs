using System.Numerics.Tensors;
using Microsoft.ML.OnnxRuntimeGenAI;
using Tensor = Microsoft.ML.OnnxRuntimeGenAI.Tensor;

namespace ProxyTune.Peers;

/// <summary>
/// Three generators of onnxruntime-genai per request, stepped one after the other; C# computes the fused row. A generator of a batch accepts
/// no tokens after the prompts, so requests cannot share one.
/// </summary>
internal sealed class GenAiFused(GenAiModel large, GenAiModel expert, GenAiModel antiExpert, int vocabulary) : InferenceEngine
{
    public override Task<int[][]> GenerateAsync(int[][] prompts, int tokens)
    {
        Generator[][] generators = [.. prompts.Select(prompt => new[] { large.Start([prompt], tokens), expert.Start([prompt], tokens), antiExpert.Start([prompt], tokens) })];
        int[][] written = [.. prompts.Select(_ => new int[tokens])];
        float[] row = new float[vocabulary];
        for (int step = 0; step < tokens; step++)
        {
            for (int request = 0; request < prompts.Length; request++)
            {
                Fuse(generators[request], row);
                written[request][step] = TensorPrimitives.IndexOfMax<float>(row);
                foreach (Generator generator in generators[request].Where(_ => step + 1 < tokens))
                {
                    generator.AppendTokens(written[request].AsSpan(step, 1));
                }
            }
        }

        foreach (Generator generator in generators.SelectMany(three => three))
        {
            generator.Dispose();
        }

        return Task.FromResult(written);
    }

    private static void Fuse(Generator[] three, Span<float> row)
    {
        using Tensor large = three[0].GetOutput("logits"), expert = three[1].GetOutput("logits"), antiExpert = three[2].GetOutput("logits");
        TensorPrimitives.Subtract(Last(expert, row.Length), Last(antiExpert, row.Length), row);
        TensorPrimitives.Add(row, Last(large, row.Length), row);
    }

    /// <summary>The row of the last position, from logits of shape [1, positions, vocabulary].</summary>
    private static ReadOnlySpan<float> Last(Tensor logits, int vocabulary) => logits.GetData<float>()[^vocabulary..];
}
