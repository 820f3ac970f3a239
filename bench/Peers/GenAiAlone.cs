using Microsoft.ML.OnnxRuntimeGenAI;

namespace ProxyTune.Peers;

/// <summary>onnxruntime-genai's own generation loop over one model. All prompts form one batch.</summary>
internal sealed class GenAiAlone(GenAiModel model) : InferenceEngine
{
    public override Task<int[][]> GenerateAsync(int[][] prompts, int tokens)
    {
        using Generator generator = model.Start(prompts, tokens);
        while (!generator.IsDone())
        {
            generator.GenerateNextToken();
        }

        return Task.FromResult(prompts.Select((prompt, i) => generator.GetSequence((ulong)i)[prompt.Length..].ToArray()).ToArray());
    }
}
