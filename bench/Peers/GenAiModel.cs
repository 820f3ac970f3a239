using Microsoft.ML.OnnxRuntimeGenAI;
using ProxyTune.Decoding;

namespace ProxyTune.Peers;

/// <summary>A model folder loaded by onnxruntime-genai, with one thread per core as for the other engines.</summary>
internal sealed class GenAiModel : IDisposable
{
    private readonly Model model;

    public GenAiModel(string folder)
    {
        OnnxEnvironment.EnsureCreated();
        using Config config = new(folder);
        config.Overlay($$$"""
            { "model": { "decoder": { "session_options": { "intra_op_num_threads": {{{Environment.ProcessorCount}}} } } } }
            """);
        model = new Model(config);
    }

    public Generator Start(int[][] prompts, int tokens)
    {
        using GeneratorParams parameters = new(model);
        parameters.SetSearchOption("do_sample", false);
        parameters.SetSearchOption("batch_size", prompts.Length);
        parameters.SetSearchOption("max_length", prompts[0].Length + tokens);
        Generator generator = new(model, parameters);
        generator.AppendTokens([.. prompts.SelectMany(prompt => prompt)]);
        return generator;
    }

    public void Dispose() => model.Dispose();
}
