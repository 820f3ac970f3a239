using Google.Protobuf;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Testing.Foreign;

/// <summary>A genai folder in the model builder's form, and a checkpoint with the values of its rounded weights.</summary>
public sealed class BuilderModel : IDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory("builder-").FullName;

    public BuilderModel(BuilderForm form, TinyModelOptions? options = null)
    {
        TinyModel.WriteCheckpoint(Checkpoint, options ?? new() { Tied = false });
        Write(form, Checkpoint, Folder);
    }

    /// <summary>Folder with genai_config.json, model.onnx, model.onnx.data and the tokenizer.</summary>
    public string Folder => Path.Combine(root, "model");

    /// <summary>Folder with config.json and model.safetensors for plain loops. Biases are separate tensors.</summary>
    public string Checkpoint => Path.Combine(root, "checkpoint");

    /// <param name="checkpoint">Checkpoint with an untied head. Its weights are replaced by those that the graph computes with.</param>
    public static void Write(BuilderForm form, string checkpoint, string folder)
    {
        Directory.CreateDirectory(folder);
        DecoderSpec config = DecoderSpec.Read(checkpoint);
        string weights = Path.Combine(checkpoint, "model.safetensors");
        (string, int[], float[])[] effective;
        using (SafetensorsFile file = SafetensorsFile.Open(weights))
        using (BuilderTensors tensors = new(folder, file, form))
        {
            File.WriteAllBytes(Path.Combine(folder, "model.onnx"), new BuilderGraph(form, config, tensors).Build().ToByteArray());
            effective = [.. tensors.Effective.Select(tensor => (tensor.Key, tensor.Value.Shape, tensor.Value.Data))];
        }

        SafetensorsFile.Write(weights, effective);
        GenAiLayout.WriteConfig(folder, "model.onnx", config, config.HeadSize);
        foreach (string file in checkpoint == folder ? [] : Directory.GetFiles(checkpoint, "tokenizer*.json"))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);
        }
    }

    public void Dispose() => Directory.Delete(root, recursive: true);
}
