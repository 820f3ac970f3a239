using Google.Protobuf;
using Microsoft.ML.OnnxRuntime;
using Onnx;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// The graph of a decoder's folder: its structure, and one copy of its weights. Sessions of the graph and of its variants share the weights and must be
/// disposed before it.
/// </summary>
internal sealed class DecoderGraph : IDisposable
{
    private readonly string folder;
    private readonly EngineOptions options;
    private readonly SharedWeights? weights;

    private DecoderGraph(string folder, EngineOptions options, GenAiConfig config, ModelProto model, GraphContents contents)
    {
        (this.folder, this.options, Config, Model, Contents) = (folder, options, config, model, contents);

        // Shared weights are in the memory of the processor. Other devices load their own copies.
        weights = options.ExecutionProvider == EngineOptions.Cpu ? new(folder, contents) : null;
    }

    public GenAiConfig Config { get; }

    /// <summary>The graph of the folder without the weights. It must not be changed.</summary>
    public ModelProto Model { get; }

    public GraphContents Contents { get; }

    /// <summary>The path of the graph, for messages.</summary>
    public string File => Path.Combine(folder, Config.Graph);

    /// <exception cref="EngineException">InvalidModelFolder, naming the file.</exception>
    public static DecoderGraph Load(string folder, EngineOptions options)
    {
        GenAiConfig config = GenAiConfig.Read(folder);
        string path = Path.Combine(folder, config.Graph);
        return Guard(path, config, () =>
        {
            ModelProto model = RotarySwitch.Without(GraphFile.Read(path), config.PositionIds);
            GraphContents contents = new(model);
            CheckFiles(folder, path, contents);
            return new DecoderGraph(folder, options, config, model, contents);
        });
    }

    /// <param name="model">This graph, or a variant with the same weights.</param>
    /// <param name="blocks">The number of sequences of a <see cref="RaggedGraph"/>.</param>
    /// <param name="isAlone">True for a few runs on the caller's thread that use no threads of other sessions. Weights are not packed, so MatMulNBits multiplies in floating point at any accuracy_level.</param>
    /// <exception cref="EngineException">InvalidModelFolder, naming the file; InvalidValue: the execution provider is missing.</exception>
    public DecoderSession Open(ModelProto model, int? blocks = null, bool isAlone = false) => Guard(File, Config, () =>
    {
        using SessionOptions session = OnnxEnvironment.CreateSessionOptions(options, isAlone);
        (string weightsFolder, ModelProto located) = WithoutLinks(model);
        session.AddSessionConfigEntry("session.model_external_initializers_file_folder_path", weightsFolder);
        byte[] bytes = located.ToByteArray();
        return new DecoderSession(this, weights is null ? new InferenceSession(bytes, session) : weights.Open(bytes, session), blocks);
    });

    public void Dispose() => weights?.Dispose();

    /// <summary>
    /// ONNX Runtime refuses weights that a link puts outside of the folder, as in Hugging Face's cache. So the graph gets the names of the files behind the
    /// links, and the folder that they are in.
    /// </summary>
    private (string Folder, ModelProto Model) WithoutLinks(ModelProto model)
    {
        string own = Path.GetFullPath(folder);
        Dictionary<string, string> targets = Contents.WeightFiles.Keys.ToDictionary(file => file, Target);
        string[] folders = [.. targets.Values.Select(target => Path.GetDirectoryName(target)!).Distinct()];
        if (folders.All(one => one == own))
        {
            return (own, model);
        }

        if (folders.Length > 1)
        {
            throw EngineException.InFile(File, $"its weights are links into several folders ({string.Join(", ", folders)}); accepted is one folder.", Config.Graph);
        }

        ModelProto located = model.Clone();
        foreach (StringStringEntryProto location in located.Graph.Initializer.SelectMany(tensor => tensor.ExternalData).Where(entry => entry.Key == "location"))
        {
            location.Value = Path.GetFileName(targets[location.Value]);
        }

        return (folders[0], located);

        string Target(string file) => System.IO.File.ResolveLinkTarget(Path.Combine(own, file), returnFinalTarget: true)?.FullName ?? Path.Combine(own, file);
    }

    private static T Guard<T>(string path, GenAiConfig config, Func<T> load)
    {
        try
        {
            return load();
        }
        catch (Exception e) when (e is OnnxRuntimeException or IOException or UnauthorizedAccessException or InvalidProtocolBufferException or InvalidDataException)
        {
            throw EngineException.InFile(path, $"the graph cannot be loaded: {e.Message}", config.Graph, e);
        }
    }

    private static void CheckFiles(string folder, string path, GraphContents contents)
    {
        foreach ((string file, long needed) in contents.WeightFiles)
        {
            if (file.Length == 0 || Path.IsPathRooted(file) || file.Split('/', '\\').Contains(".."))
            {
                throw EngineException.InFile(path, $"weights are wanted from '{file}'; accepted is a file in its own folder.", file);
            }

            long? length = FileLength.Find(Path.Combine(folder, file));
            if (length is null || length < needed)
            {
                string state = length is null ? "is missing" : $"has {length} bytes";
                throw EngineException.InFile(path, $"the graph needs {needed} bytes of weights from {file}, which {state}.", file);
            }
        }
    }
}
