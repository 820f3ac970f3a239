using Microsoft.ML.OnnxRuntimeGenAI;
using ProxyTune.Decoding;

namespace ProxyTune.Testing;

/// <summary>onnxruntime-genai's generation loop, a reference that shares no code with this project.</summary>
public static class GenAiReference
{
    /// <returns>At most <paramref name="count"/> ids after the prompt. An end token ends them and is included.</returns>
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
