using Microsoft.ML.OnnxRuntime;
using ProxyTune.Decoding;

namespace ProxyTune.Testing;

/// <summary>Runs a decoder graph once over a whole prompt without past, with the simplest calls of ONNX Runtime.</summary>
public static class RawDecoder
{
    /// <returns>One row of logits per position.</returns>
    public static float[][] Logits(string folder, IReadOnlyList<int> ids)
    {
        OnnxEnvironment.EnsureCreated();
        using InferenceSession session = new(Directory.GetFiles(folder, "*.onnx").Single());
        Dictionary<string, OrtValue> inputs = session.InputMetadata.ToDictionary(input => input.Key, input => Input(input.Key, input.Value, ids));
        using RunOptions options = new();
        using IDisposableReadOnlyCollection<OrtValue> outputs = session.Run(options, inputs, ["logits"]);
        foreach (OrtValue input in inputs.Values)
        {
            input.Dispose();
        }

        float[] logits = outputs[0].GetTensorDataAsSpan<float>().ToArray();
        return [.. logits.Chunk(logits.Length / ids.Count)];
    }

    private static OrtValue Input(string name, NodeMetadata metadata, IReadOnlyList<int> ids) => name switch
    {
        "input_ids" => OrtValue.CreateTensorValueFromMemory(ids.Select(id => (long)id).ToArray(), [1, ids.Count]),
        "attention_mask" => OrtValue.CreateTensorValueFromMemory(ids.Select(_ => 1L).ToArray(), [1, ids.Count]),
        "position_ids" => OrtValue.CreateTensorValueFromMemory(ids.Select((_, position) => (long)position).ToArray(), [1, ids.Count]),
        _ => OrtValue.CreateTensorValueFromMemory(Array.Empty<float>(), [1, metadata.Dimensions[1], 0, metadata.Dimensions[3]]),
    };
}
