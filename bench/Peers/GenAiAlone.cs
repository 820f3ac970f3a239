using Microsoft.ML.OnnxRuntimeGenAI;

namespace ProxyTune.Peers;

/// <summary>onnxruntime-genai's own loop over one model; all prompts are one batch.</summary>
internal sealed class GenAiAlone(GenAiModel model) : Contender
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
