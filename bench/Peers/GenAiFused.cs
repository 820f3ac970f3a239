using System.Numerics.Tensors;
using Microsoft.ML.OnnxRuntimeGenAI;
using Tensor = Microsoft.ML.OnnxRuntimeGenAI.Tensor;

namespace ProxyTune.Peers;

/// <summary>
/// Three of onnxruntime-genai's generators, stepped one after the other, and the fused row in C#. A generator of a batch takes the tokens of
/// its prompts and no others, so every request has generators of its own.
/// </summary>
internal sealed class GenAiFused(GenAiModel large, GenAiModel expert, GenAiModel antiExpert, int vocabulary) : Contender
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

    /// <summary>The last position's row of [1, positions, vocabulary].</summary>
    private static ReadOnlySpan<float> Last(Tensor logits, int vocabulary) => logits.GetData<float>()[^vocabulary..];
}
