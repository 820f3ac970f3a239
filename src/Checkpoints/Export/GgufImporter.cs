using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Export;

/// <summary>Writes a GGUF file as a checkpoint in Hugging Face's layout.</summary>
internal static class GgufImporter
{
    /// <summary>
    /// Writes config.json, the files of the tokenizer and of generation, and model.safetensors: float32, in the order of <see cref="DecoderTensors.InOrder"/>. No
    /// tensor is in memory as a whole.
    /// </summary>
    /// <param name="path">The only part of the file or the first.</param>
    /// <param name="folder">The folder to write; created if it is missing.</param>
    /// <returns>The metadata of the file.</returns>
    /// <exception cref="EngineException">InvalidModelFolder, naming file, key or tensor, value and what is accepted.</exception>
    public static GgufMetadata WriteHuggingFace(string path, string folder)
    {
        using GgufCheckpoint checkpoint = GgufCheckpoint.Open(path);
        Directory.CreateDirectory(folder);
        checkpoint.Tokenizer.Write(folder);
        File.WriteAllText(Path.Combine(folder, FileNames.Config), checkpoint.Config.ToJsonString(JsonFile.Indented) + "\n");
        SafetensorsFile.Write(Path.Combine(folder, FileNames.Weights), DecoderTensors.InOrder(DecoderSpec.Read(folder)).Select(tensor => checkpoint.Tensor(tensor.Name)));
        return checkpoint.File.Metadata;
    }
}
