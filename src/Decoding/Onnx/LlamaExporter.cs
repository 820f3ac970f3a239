using System.Runtime.InteropServices;
using Google.Protobuf;
using ProxyTune.Decoding.Patches;

namespace ProxyTune.Decoding.Onnx;

/// <summary>Turns a Hugging Face checkpoint of a Llama-family decoder into a folder that ONNX Runtime and onnxruntime-genai run.</summary>
public static class LlamaExporter
{
    private const string WeightsFile = "model.safetensors";
    private const string GraphFile = "model.onnx";
    private const string PaddedFile = "model.onnx.data";

    private static readonly string[] CopiedFiles =
    [
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja",
    ];

    /// <summary>
    /// Writes genai_config.json, model.onnx and model.safetensors, and copies the small files. The graph's weights are ranges of
    /// model.safetensors, so the folder is at once a float32 checkpoint and a model to serve, with one copy of the weights.
    /// </summary>
    /// <param name="checkpoint">A folder with config.json, model.safetensors and the tokenizer's files.</param>
    /// <param name="target">Created where needed; may be <paramref name="checkpoint"/> itself.</param>
    /// <param name="patches">What is added to the weights; null for nothing.</param>
    /// <exception cref="EngineException">InvalidModelFolder: the checkpoint is incomplete or does not fit its config.json, or a patch does not fit it; InvalidValue: a patch's weight.</exception>
    public static void Export(string checkpoint, string target, IReadOnlyList<WeightedPatch>? patches = null)
    {
        var config = CheckpointConfig.Read(checkpoint);
        Directory.CreateDirectory(target);
        using (var source = SafetensorsFile.Open(Path.Combine(checkpoint, WeightsFile)))
        {
            SafetensorsFile.Write(Path.Combine(target, WeightsFile), PatchMerge.Apply(LlamaTensors.ReadInOrder(source, config), patches ?? []));
        }

        if (Path.GetFullPath(checkpoint) != Path.GetFullPath(target))
        {
            foreach (var name in CopiedFiles.Where(name => File.Exists(Path.Combine(checkpoint, name))))
            {
                File.Copy(Path.Combine(checkpoint, name), Path.Combine(target, name), overwrite: true);
            }
        }

        using var file = SafetensorsFile.Open(Path.Combine(target, WeightsFile));
        var weights = new LlamaWeights(config, file, PaddedFile);
        WritePadded(Path.Combine(target, PaddedFile), weights);
        File.WriteAllBytes(Path.Combine(target, GraphFile), LlamaGraph.Build(config, weights).ToByteArray());
        GenAiLayout.WriteConfig(target, GraphFile, config, weights.HeadSize);
    }

    private static void WritePadded(string path, LlamaWeights weights)
    {
        File.Delete(path);
        foreach (var weight in weights.Padded())
        {
            using var stream = new FileStream(path, FileMode.Append);
            stream.Write(MemoryMarshal.AsBytes(weight.AsSpan()));
        }
    }
}
