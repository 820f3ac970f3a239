using Google.Protobuf;
using Onnx;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;
using static Onnx.AttributeProto.Types;

namespace ProxyTune.Gateway.Experts;

/// <summary>Checks a graph before anything runs it: operators, attributes, weights and their files.</summary>
internal sealed class GraphCheck
{
    private const int MaxNodes = 1 << 17;

    private readonly string folder;
    private readonly string name;

    private GraphCheck(string folder, string name) => (this.folder, this.name) = (folder, name);

    /// <param name="name">Name of the graph's file.</param>
    /// <exception cref="EngineException">InvalidExpert, naming the file, and the node or the weight.</exception>
    public static void Check(string folder, string name) => new GraphCheck(folder, name).Check();

    private void Check()
    {
        string path = Path.Combine(folder, name);
        if (!File.Exists(path))
        {
            throw UploadName.Refused(name, "is missing; genai_config.json names it.");
        }

        ModelProto model;
        try
        {
            model = GraphFile.Read(path);
        }
        catch (Exception error) when (error is InvalidProtocolBufferException or IOException or NullReferenceException)
        {
            throw Wrong($"is no ONNX graph: {error.Message}", error);
        }

        CheckModel(model);
        CheckFiles(model);
        foreach (TensorProto weight in model.Graph.Initializer)
        {
            TensorCheck.Check(folder, name, weight);
        }

        foreach (NodeProto node in model.Graph.Node)
        {
            CheckNode(node);
        }
    }

    private void CheckModel(ModelProto model)
    {
        if (model.Graph is null)
        {
            throw Wrong("has no graph.");
        }

        if (model.Functions.Count > 0)
        {
            throw Wrong($"has a function of its own, '{UploadName.Printable(model.Functions[0].Name)}'; accepted are operators alone.");
        }

        if (model.TrainingInfo.Count > 0 || model.Graph.SparseInitializer.Count > 0)
        {
            throw Wrong("has training steps or sparse weights; accepted are neither.");
        }

        if (model.OpsetImport.FirstOrDefault(set => !AllowedOperators.HasDomain(set.Domain)) is { } opset)
        {
            throw Wrong($"imports the operators '{UploadName.Printable(opset.Domain)}'; accepted are ONNX's and {GraphWriter.Contrib}.");
        }

        if (model.Graph.Node.Count is 0 or > MaxNodes || model.Graph.Initializer.Count > MaxNodes)
        {
            throw Wrong($"has {model.Graph.Node.Count} nodes and {model.Graph.Initializer.Count} weights; accepted are 1 to {MaxNodes}.");
        }
    }

    // No check has read a file that neither the configuration nor the graph names.
    private void CheckFiles(ModelProto model)
    {
        HashSet<string> named = [name, FileNames.Weights];
        named.UnionWith(model.Graph.Initializer.SelectMany(weight => weight.ExternalData).Where(entry => entry.Key == "location").Select(entry => entry.Value));
        if (Directory.EnumerateFiles(folder).Select(file => Path.GetFileName(file)).FirstOrDefault(file => !UploadName.IsText(file) && !named.Contains(file)) is { } unknown)
        {
            throw UploadName.Refused(unknown, $"is named by neither genai_config.json nor '{name}'.");
        }
    }

    private void CheckNode(NodeProto node)
    {
        string shown = UploadName.Printable(node.Name);
        if (!AllowedOperators.Contain(node.Domain, node.OpType))
        {
            throw Wrong($"has the operator '{UploadName.Printable($"{node.Domain}.{node.OpType}".TrimStart('.'))}' at node '{shown}', which is not one of those that decoders need.");
        }

        foreach (AttributeProto attribute in node.Attribute)
        {
            if (attribute.Type is AttributeType.Graph or AttributeType.Graphs || attribute.G is not null || attribute.Graphs.Count > 0
                || attribute.SparseTensor is not null || attribute.SparseTensors.Count > 0 || attribute.RefAttrName.Length > 0)
            {
                throw Wrong($"has a graph, a sparse tensor or a reference in attribute '{UploadName.Printable(attribute.Name)}' of node '{shown}'; accepted are values.");
            }

            if (!float.IsFinite(attribute.F) || !attribute.Floats.All(float.IsFinite))
            {
                throw Wrong($"has NaN or infinity in attribute '{UploadName.Printable(attribute.Name)}' of node '{shown}'.");
            }

            foreach (TensorProto tensor in attribute.Tensors.Concat(attribute.T is { } single ? [single] : []))
            {
                if (tensor.ExternalData.Count > 0)
                {
                    throw Wrong($"reads a file in attribute '{UploadName.Printable(attribute.Name)}' of node '{shown}'; accepted are values.");
                }

                TensorCheck.Check(folder, name, new TensorProto(tensor) { Name = $"{node.Name}.{attribute.Name}" });
            }
        }
    }

    private EngineException Wrong(string what, Exception? inner = null) => UploadName.Refused(name, what, inner);
}
