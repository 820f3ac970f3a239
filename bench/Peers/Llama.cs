using System.Numerics.Tensors;

namespace ProxyTune.Peers;

/// <summary>llama.cpp through LLamaSharp, with one context, or with three whose logits C# fuses. All prompts are sequences of one batch.</summary>
internal sealed class Llama(int sequences, params LlamaModel[] models) : InferenceEngine
{
    public override Task<int[][]> GenerateAsync(int[][] prompts, int tokens)
    {
        if (prompts.Length != sequences)
        {
            throw new ArgumentException($"{prompts.Length} prompts do not fit: the contexts were created for {sequences}.", nameof(prompts));
        }

        List<int>[] written = [.. prompts.Select(_ => new List<int>())];
        foreach (LlamaModel model in models)
        {
            model.Restart();
            model.Append(prompts, 0);
        }

        for (int step = 0; step < tokens; step++)
        {
            int[][] next = [.. Enumerable.Range(0, prompts.Length).Select(sequence => new[] { Next(sequence) })];
            for (int i = 0; i < next.Length; i++)
            {
                written[i].Add(next[i][0]);
            }

            foreach (LlamaModel model in models.Where(_ => step + 1 < tokens))
            {
                model.Append(next, prompts[0].Length + step);
            }
        }

        return Task.FromResult(written.Select(ids => ids.ToArray()).ToArray());
    }

    public override ValueTask DisposeAsync()
    {
        foreach (LlamaModel model in models)
        {
            model.Dispose();
        }

        return base.DisposeAsync();
    }

    private int Next(int sequence)
    {
        ReadOnlySpan<float> large = models[0].Logits(sequence);
        if (models is not [_, var expert, var antiExpert])
        {
            return TensorPrimitives.IndexOfMax(large);
        }

        float[] row = new float[large.Length];
        TensorPrimitives.Subtract(expert.Logits(sequence), antiExpert.Logits(sequence), row);
        TensorPrimitives.Add(row, large, row);
        return TensorPrimitives.IndexOfMax<float>(row);
    }
}
