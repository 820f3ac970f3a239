using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json.Nodes;
using Google.Protobuf;
using Onnx;
using ProxyTune.Testing;
using static Onnx.AttributeProto.Types;
using static Onnx.TensorProto.Types;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Models that try to load a library, read other files, hang a tokenizer, or give invalid rows.</summary>
internal static class HostileModels
{
    private const string Graph = "model.onnx", Config = "genai_config.json", Tokenizer = "tokenizer.json";
    private static readonly Lazy<IReadOnlyDictionary<string, byte[]>> Written = new(Write);

    /// <summary>The files of a good model.</summary>
    public static Dictionary<string, byte[]> Good => new(Written.Value);

    public static IEnumerable<HostileUpload> All => [.. Configs, .. Graphs, .. Externals, .. Numbers, .. Tokenizers, .. Templates];

    private static IEnumerable<HostileUpload> Configs =>
    [
        WithConfig("graph in a parent folder", "filename", json => Decoder(json)["filename"] = "../model.onnx"),
        WithConfig("graph at an absolute path", "filename", json => Decoder(json)["filename"] = "/tmp/model.onnx"),
        WithConfig("library as a graph", "filename", json => Decoder(json)["filename"] = "model.so"),
        WithConfig("custom operators", "custom_ops_library", json => Options(json)["custom_ops_library"] = "libops.so"),
        WithConfig("custom operators in capitals", "Custom_Ops_Library", json => Options(json)["Custom_Ops_Library"] = "libops.so"),
        WithConfig("library of a provider", "ep_library", json => json["ep_library"] = new JsonObject { ["x"] = "libep.so" }),
        WithConfig("options of a provider", "provider_options", json => Options(json)["provider_options"] = new JsonArray(new JsonObject { ["cuda"] = new JsonObject() })),
        WithConfig("settings of a session", "config_entries", json => Options(json)["config_entries"] = new JsonObject { ["session.load_model_format"] = "ORT" }),
        WithConfig("pipeline of models", "pipeline", json => Decoder(json)["pipeline"] = new JsonArray()),
        WithConfig("vision part", "vision", json => json["model"]!["vision"] = new JsonObject { ["filename"] = "vision.onnx" }),
        WithConfig("billion layers", "num_hidden_layers", json => Decoder(json)["num_hidden_layers"] = 1_000_000_000),
        WithConfig("billion words", "vocab_size", json => json["model"]!["vocab_size"] = 2_000_000_000),
        WithConfig("context below 1", "context_length", json => json["model"]!["context_length"] = 0),
        WithConfig("no decoder", "genai_config.json", json => json["model"]!.AsObject().Remove("decoder")),
        WithConfig("cache of another name", "nothing.0", json => Decoder(json)["inputs"]!["past_value_names"] = "nothing.%d"),
    ];

    private static IEnumerable<HostileUpload> Graphs =>
    [
        Model("no graph", "model.onnx' is missing", files => files.Remove(Graph)),
        Model("graph that is no protobuf", "no ONNX graph", files => files[Graph] = Encoding.UTF8.GetBytes("hello, this is no graph")),
        Model("graph cut off", "no ONNX graph", files => files[Graph] = files[Graph][..^100]),
        WithGraph("operators of another domain", "imports the operators", model => model.OpsetImport.Add(new OperatorSetIdProto { Domain = "evil.ops", Version = 1 })),
        WithGraph("operator of another domain", "the operator 'evil.", model => model.Graph.Node[0].Domain = "evil"),
        WithGraph("operator that is not needed", "StringNormalizer", model => model.Graph.Node[0].OpType = "StringNormalizer"),
        WithGraph("operator with code", "PyOp", model => (model.Graph.Node[0].OpType, model.Graph.Node[0].Domain) = ("PyOp", "com.microsoft")),
        WithGraph("random operator", "RandomNormalLike", model => model.Graph.Node[0].OpType = "RandomNormalLike"),
        WithGraph("endless loop", "Loop", model => model.Graph.Node.Add(Nested("Loop"))),
        WithGraph("branch", "'If'", model => model.Graph.Node.Add(Nested("If"))),
        WithGraph("graph in an attribute of a plain operator", "has a graph", model => model.Graph.Node.Add(Nested("Identity"))),
        WithGraph("function", "function of its own", model => model.Functions.Add(new FunctionProto { Name = "f", Domain = "evil" })),
        WithGraph("training steps", "training", model => model.TrainingInfo.Add(new TrainingInfoProto())),
        WithGraph("sparse weight", "sparse", model => model.Graph.SparseInitializer.Add(new SparseTensorProto())),
        WithGraph("no nodes", "0 nodes", model => model.Graph.Node.Clear()),
        Model("second graph", "is named by neither", files => files["other.onnx"] = files[Graph]),
        Model("weights that nothing names", "is named by neither", files => files["extra.data"] = [1, 2, 3]),
    ];

    private static IEnumerable<HostileUpload> Externals =>
    [
        WithWeight("weights in a parent folder", "accepted is a file of the folder", weight => Entry(weight, "location").Value = "../../../etc/passwd"),
        WithWeight("weights at an absolute path", "accepted is a file of the folder", weight => Entry(weight, "location").Value = "/etc/passwd"),
        WithWeight("weights behind a backslash", "accepted is a file of the folder", weight => Entry(weight, "location").Value = "..\\weights.data"),
        WithWeight("weights in a file that is not there", "accepted is a file of the folder", weight => Entry(weight, "location").Value = "nothing.data"),
        WithWeight("weights nowhere", "accepted is a file of the folder", weight => Entry(weight, "location").Value = ""),
        WithWeight("weights behind the end", "needs", weight => Entry(weight, "offset").Value = "999999999"),
        WithWeight("weights at a negative offset", "offset", weight => Entry(weight, "offset").Value = "-64"),
        WithWeight("weights at an offset that overflows", "offset", weight => Entry(weight, "offset").Value = "99999999999999999999"),
        WithWeight("weights of another length", "needs", weight => Entry(weight, "length").Value = "4"),
        WithWeight("weights in two places", "says it twice", weight => weight.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = "/etc/passwd" })),
        WithWeight("weights with an unknown key", "basepath", weight => weight.ExternalData.Add(new StringStringEntryProto { Key = "basepath", Value = "/" })),
        WithWeight("weights larger than their file", "needs", weight => weight.Dims[0] = 1 << 30),
        WithWeight("shape that wraps round in a graph", "needs", weight => weight.Dims.Add([1L << 62, 4])),
        WithWeight("negative size", "accepted are up to", weight => weight.Dims[0] = -1),
        WithWeight("weights of texts", "of type", weight => weight.DataType = (int)DataType.String),
        WithGraph("file in an attribute", "reads a file", model =>
        {
            TensorProto tensor = new() { DataType = (int)DataType.Float, DataLocation = DataLocation.External };
            tensor.ExternalData.Add(new StringStringEntryProto { Key = "location", Value = "/etc/passwd" });
            model.Graph.Node.Add(Constant(tensor));
        }),
    ];

    private static IEnumerable<HostileUpload> Numbers =>
    [
        Model("NaN in a model's weights", "NaN or infinity in the weight", files => BitConverter.TryWriteBytes(files["model.safetensors"].AsSpan(^8..), float.NaN)),
        WithGraph("infinity in a graph's own weight", "infinity in the weight 'evil'", model => model.Graph.Initializer.Add(Tensor(DataType.Float, MemoryMarshal.AsBytes<float>([1, float.PositiveInfinity])))),
        WithGraph("NaN in float16", "weight 'evil'", model => model.Graph.Initializer.Add(Tensor(DataType.Float16, MemoryMarshal.AsBytes<Half>([(Half)1, Half.NaN])))),
        WithGraph("NaN in bfloat16", "weight 'evil'", model => model.Graph.Initializer.Add(Tensor(DataType.Bfloat16, MemoryMarshal.AsBytes<ushort>([0x3F80, 0x7FC0])))),
        WithGraph("infinity in float64", "weight 'evil'", model => model.Graph.Initializer.Add(Tensor(DataType.Double, MemoryMarshal.AsBytes<double>([1, double.NegativeInfinity])))),
        WithGraph("NaN in numbers of a graph", "weight 'evil'", model =>
        {
            TensorProto tensor = new() { Name = "evil", DataType = (int)DataType.Float, Dims = { 2 }, FloatData = { 1, float.NaN } };
            model.Graph.Initializer.Add(tensor);
        }),
        WithGraph("weight that its data do not fill", "do not fill", model =>
        {
            TensorProto tensor = Tensor(DataType.Float, new byte[4]);
            tensor.Dims[0] = 1000;
            model.Graph.Initializer.Add(tensor);
        }),
        WithGraph("infinity in a constant", "infinity in the weight 'node.value'", model => model.Graph.Node.Add(Constant(Tensor(DataType.Float, MemoryMarshal.AsBytes<float>([1, float.PositiveInfinity]))))),
        WithGraph("NaN in an attribute", "in attribute", model => model.Graph.Node[0].Attribute.Add(new AttributeProto { Name = "alpha", Type = AttributeType.Float, F = float.NaN })),
        WithGraph("logits that overflow", "NaN or infinity as logits", Overflow),
    ];

    private static IEnumerable<HostileUpload> Tokenizers =>
    [
        Model("no tokenizer", "tokenizer.json' is missing", files => files.Remove(Tokenizer)),
        WithTokenizer("expression that never ends", "regular expression '(a+)+$'", json => json["pre_tokenizer"] = Split("(a+)+$")),
        WithTokenizer("expression that never ends in a sequence", "regular expression", json => json["pre_tokenizer"] = new JsonObject { ["type"] = "Sequence", ["pretokenizers"] = new JsonArray(Split("(x*)*y")) }),
        WithTokenizer("expression that never ends in a normalizer", "regular expression", json => json["normalizer"] = new JsonObject { ["type"] = "Replace", ["pattern"] = new JsonObject { ["Regex"] = "(a|a)*b" }, ["content"] = "" }),
        WithTokenizer("letter that becomes many", "accepted is a single character", json => json["normalizer"] = new JsonObject { ["type"] = "Replace", ["pattern"] = new JsonObject { ["String"] = "a" }, ["content"] = new string('a', 1000) }),
        WithTokenizer("text that is put before others", "accepted is a single character", json => json["normalizer"] = new JsonObject { ["type"] = "Prepend", ["prepend"] = new string('a', 1000) }),
        WithTokenizer("hundred steps", "steps in normalizer", json => json["normalizer"] = new JsonObject { ["type"] = "Sequence", ["normalizers"] = new JsonArray([.. Enumerable.Range(0, 100).Select(_ => new JsonObject { ["type"] = "NFC" })]) }),
        WithTokenizer("token beyond the vocabulary", "accepted are 0 to", json => json["model"]!["vocab"]!["evil"] = 2_000_000_000),
        WithTokenizer("token below zero", "accepted are 0 to", json => json["model"]!["vocab"]!["evil"] = -1),
        WithTokenizer("two tokens with one id", "two tokens", json => json["model"]!["vocab"]!["evil"] = 7),
        WithTokenizer("added token beyond the vocabulary", "accepted are 0 to", json => json["added_tokens"]!.AsArray().Add(new JsonObject { ["id"] = 2_000_000_000, ["content"] = "x", ["special"] = true })),
        WithTokenizer("unknown kind of tokenizer", "model type", json => json["model"]!["type"] = "Python"),
        WithTokenizer("no vocabulary", "no model with a vocab", json => json["model"]!.AsObject().Remove("vocab")),
        WithTokenizer("part that the library does not know", "tokenizer.json", json => json["decoder"] = new JsonObject { ["type"] = "Evil" }),
        Model("tokenizer that is too deep", "levels", files => files[Tokenizer] = Encoding.UTF8.GetBytes("{\"a\":" + new string('[', 1000) + new string(']', 1000) + "}")),
        Model("a token twice", "cannot be read", files => files[Tokenizer] = Encoding.UTF8.GetBytes("""{"model":{"vocab":{"a":0,"a":1}}}""")),
    ];

    private static IEnumerable<HostileUpload> Templates =>
    [
        Model("template that is none", "chat template is broken", files => files["chat_template.jinja"] = Encoding.UTF8.GetBytes("{% for %}")),
        Model("template that refuses everything", "refuses the messages", files => files["chat_template.jinja"] = Encoding.UTF8.GetBytes("{{ raise_exception('no') }}")),
        Model("template of a megabyte", "accepted are at most", files => files["chat_template.jinja"] = Encoding.UTF8.GetBytes(new string('x', 1 << 20))),
        Model("template of a megabyte in the settings", "accepted are at most", files => files["tokenizer_config.json"] = Encoding.UTF8.GetBytes($$"""{"chat_template":"{{new string('x', 1 << 20)}}" }""")),
        Model("binary template", "begin as a text", files => files["chat_template.jinja"] = [1, 0, 2]),
    ];

    private static HostileUpload WithConfig(string kind, string says, Action<JsonObject> change) => WithJson(kind, says, Config, change);

    private static HostileUpload WithTokenizer(string kind, string says, Action<JsonObject> change) => WithJson(kind, says, Tokenizer, change);

    private static HostileUpload WithJson(string kind, string says, string name, Action<JsonObject> change) => Model(kind, says, files =>
    {
        JsonObject json = JsonNode.Parse(files[name])!.AsObject();
        change(json);
        files[name] = Encoding.UTF8.GetBytes(json.ToJsonString());
    });

    private static HostileUpload WithGraph(string kind, string says, Action<ModelProto> change) => Model(kind, says, files =>
    {
        ModelProto model = ModelProto.Parser.ParseFrom(files[Graph]);
        change(model);
        files[Graph] = model.ToByteArray();
    });

    private static HostileUpload WithWeight(string kind, string says, Action<TensorProto> change) =>
        WithGraph(kind, says, model => change(model.Graph.Initializer.First(weight => weight.DataLocation == DataLocation.External)));

    private static HostileUpload Model(string kind, string says, Action<Dictionary<string, byte[]>> change) => new(kind, says, () =>
    {
        Dictionary<string, byte[]> files = Good;
        files["model.safetensors"] = [.. files["model.safetensors"]];
        change(files);
        return files.Select(file => (file.Key, file.Value));
    });

    private static JsonNode Decoder(JsonObject json) => json["model"]!["decoder"]!;

    private static JsonNode Options(JsonObject json) => Decoder(json)["session_options"]!;

    private static JsonObject Split(string pattern) => new()
    {
        ["type"] = "Split",
        ["pattern"] = new JsonObject { ["Regex"] = pattern },
        ["behavior"] = "Isolated",
        ["invert"] = false,
    };

    private static StringStringEntryProto Entry(TensorProto weight, string key) => weight.ExternalData.Single(entry => entry.Key == key);

    private static NodeProto Nested(string operation)
    {
        NodeProto node = new() { OpType = operation, Name = "node" };
        node.Attribute.Add(new AttributeProto { Name = "body", Type = AttributeType.Graph, G = new GraphProto { Name = "inner" } });
        return node;
    }

    private static NodeProto Constant(TensorProto tensor)
    {
        NodeProto node = new() { OpType = "Constant", Name = "node", Output = { "node" } };
        node.Attribute.Add(new AttributeProto { Name = "value", Type = AttributeType.Tensor, T = tensor });
        return node;
    }

    private static TensorProto Tensor(DataType type, ReadOnlySpan<byte> bytes)
    {
        int size = type == DataType.Double ? 8 : type == DataType.Float ? 4 : 2;
        return new() { Name = "evil", DataType = (int)type, Dims = { bytes.Length / size }, RawData = ByteString.CopyFrom(bytes) };
    }

    // All weights are finite, but the logits are not.
    private static void Overflow(ModelProto model)
    {
        NodeProto head = model.Graph.Node.Single(node => node.Output.Contains("logits"));
        head.Output[head.Output.IndexOf("logits")] = "small";
        TensorProto huge = Tensor(DataType.Float, MemoryMarshal.AsBytes<float>([3e38f]));
        huge.Name = "huge";
        model.Graph.Initializer.Add(huge);
        model.Graph.Node.Add(new NodeProto { OpType = "Mul", Name = "large", Input = { "small", "huge" }, Output = { "large" } });
        model.Graph.Node.Add(new NodeProto { OpType = "Mul", Name = "overflow", Input = { "large", "huge" }, Output = { "logits" } });
    }

    private static Dictionary<string, byte[]> Write()
    {
        using TinyModel model = TinyModel.Create();
        return Directory.EnumerateFiles(model.Folder).ToDictionary(file => Path.GetFileName(file), File.ReadAllBytes);
    }
}
