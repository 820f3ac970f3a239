using Microsoft.ML.OnnxRuntimeGenAI;
using ProxyTune.Decoding;

namespace ProxyTune.Testing;

/// <summary>onnxruntime-genai's own generation loop, which shares no code with ours.</summary>
public static class GenAiReference
{
    /// <returns>At most <paramref name="count"/> ids after the prompt; an end token is the last.</returns>
    public static int[] Greedy(string folder, int[] prompt, int count)
    {
        OnnxEnvironment.EnsureCreated();
        using Model model = new(folder);
        using GeneratorParams parameters = new(model);
        parameters.SetSearchOption("do_sample", false);
        parameters.SetSearchOption("max_length", prompt.Length + count);
        using Generator generator = new(model, parameters);
        generator.AppendTokens(prompt);
        while (!generator.IsDone())
        {
            generator.GenerateNextToken();
        }

        return [.. generator.GetSequence(0)[prompt.Length..]];
    }
}
