using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Training;

/// <summary>A Hugging Face checkpoint: config.json, model.safetensors and the tokenizer's files.</summary>
public static class ModelFolder
{
    private static readonly string[] TokenizerFiles =
        [FileNames.Tokenizer, FileNames.TokenizerConfig, FileNames.SpecialTokens, FileNames.ChatTemplate, FileNames.GenerationConfig];

    public static string Weights(string folder) => Path.Combine(folder, FileNames.Weights);

    /// <param name="trainable">True trains all weights.</param>
    /// <exception cref="TrainingException">A tensor is missing, or its shape differs from config.json.</exception>
    /// <exception cref="EngineException">config.json or model.safetensors is missing or broken.</exception>
    public static LlamaModel Load(string folder, bool trainable)
    {
        DecoderSpec spec = DecoderSpec.Read(folder);
        if (!spec.IsPlain)
        {
            throw EngineException.InFile(Path.Combine(folder, FileNames.Config), $"model_type {spec.Family} with these fields cannot be trained; accepted is llama with the features of Llama 2.");
        }

        using SafetensorsFile file = SafetensorsFile.Open(Weights(folder));
        LlamaModel model = new(spec, trainable);
        Read(file, model.Parameters);
        return model;
    }

    /// <param name="tokenizerFolder">The folder whose tokenizer files are copied.</param>
    public static void Save(string folder, LlamaModel model, string tokenizerFolder)
    {
        Directory.CreateDirectory(folder);
        CopyTokenizer(tokenizerFolder, folder);
        LlamaConfig.Write(folder, model.Spec);
        Write(Weights(folder), model.Parameters);
    }

    /// <summary>Copies all files. They replace the content of <paramref name="to"/>.</summary>
    internal static void Copy(string from, string to)
    {
        if (Directory.Exists(to))
        {
            Directory.Delete(to, recursive: true);
        }

        Directory.CreateDirectory(to);
        foreach (string file in Directory.GetFiles(from))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }
    }

    internal static void CopyTokenizer(string from, string to)
    {
        if (Path.GetFullPath(from) == Path.GetFullPath(to))
        {
            return;
        }

        foreach (string? name in TokenizerFiles.Where(name => File.Exists(Path.Combine(from, name))))
        {
            File.Copy(Path.Combine(from, name), Path.Combine(to, name), overwrite: true);
        }
    }

    internal static void Read(SafetensorsFile file, ParameterSet parameters)
    {
        foreach (ParameterSlot slot in parameters.Slots)
        {
            IReadOnlyList<int> shape = file.Tensors.TryGetValue(slot.Name, out SafetensorsTensor? tensor) ? tensor.Shape : throw new TrainingException($"{file.Path}: no tensor '{slot.Name}'.");
            if (!shape.SequenceEqual(slot.Shape))
            {
                throw new TrainingException($"{file.Path}: tensor '{slot.Name}' is [{string.Join(", ", shape)}]; the configuration asks for [{string.Join(", ", slot.Shape)}].");
            }

            long first = 0;
            foreach (ReadOnlyMemory<float> piece in TensorSource.Of(file, slot.Name).Pieces())
            {
                piece.Span.CopyTo(parameters.Data(slot.Name, first, piece.Length));
                first += piece.Length;
            }
        }
    }

    internal static void Write(string path, ParameterSet parameters) =>
        SafetensorsFile.Write(path, parameters.Slots.Select(slot => parameters.Source(slot.Name)));
}
