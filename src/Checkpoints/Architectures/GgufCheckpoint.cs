using System.Numerics.Tensors;
using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Architectures;

/// <summary>A decoder in a GGUF file: its configuration, its tensors under Hugging Face's names and in Hugging Face's order of rows, and its tokenizer.</summary>
/// <remarks>All names, shapes and types are checked when it is opened. Reading is thread-safe.</remarks>
internal sealed class GgufCheckpoint : IDisposable
{
    private static readonly HashSet<string> Configuration = [GgufNames.RopeFactors, GgufNames.LongFactors, GgufNames.ShortFactors];

    private readonly GgufArchitectures architecture;
    private readonly Dictionary<string, GgufName> names = [];

    private GgufCheckpoint(GgufFile file)
    {
        File = file;
        architecture = GgufArchitectures.Read(file);
        CheckTensors();
        Tokenizer = GgufTokenizer.Read(file.Metadata);
        if (Tokenizer.Tokens.Count != architecture.Sizes.Vocabulary)
        {
            throw file.Metadata.Wrong(GgufTokenizer.TokensKey, $"a token for each of the {architecture.Sizes.Vocabulary} rows of {GgufNames.Embedding}");
        }

        Config = (JsonObject)architecture.Config.DeepClone();
        Config["bos_token_id"] = Tokenizer.BeginId;
        Config["eos_token_id"] = Tokenizer.EndIds switch { [] => null, [var only] => only, var ends => new JsonArray([.. ends.Select(id => (JsonNode)id)]) };
        Config["pad_token_id"] = Tokenizer.PadId;
    }

    public GgufFile File { get; }

    public GgufTokenizer Tokenizer { get; }

    /// <summary>config.json as Hugging Face has it for this decoder.</summary>
    public JsonObject Config { get; }

    /// <summary>Hugging Face's names of the tensors, in the order in which the decoder computes.</summary>
    public IReadOnlyCollection<string> Names => names.Keys;

    /// <param name="path">The only part of the file or the first.</param>
    /// <exception cref="EngineException">InvalidModelFolder, naming file, key or tensor, value and what is accepted.</exception>
    public static GgufCheckpoint Open(string path)
    {
        GgufFile file = GgufFile.Open(path);
        try
        {
            return new(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>A tensor as float32. The checkpoint must stay open.</summary>
    /// <param name="name">Hugging Face's.</param>
    /// <exception cref="EngineException">InvalidModelFolder: no such tensor.</exception>
    public TensorSource Tensor(string name)
    {
        GgufName tensor = Named(name);
        float shift = tensor.IsNorm ? architecture.Family.NormShift : 0;
        return new(name, InFile(name).Shape, () => shift == 0 ? File.ReadPieces(tensor.File, PairedHead(tensor)) : File.ReadPieces(tensor.File).Select(piece => Shifted(piece.Span, shift)));
    }

    /// <summary>Where a tensor lies in the file and how its elements are stored.</summary>
    /// <param name="name">Hugging Face's.</param>
    public GgufTensorInfo InFile(string name) => File.Tensors[Named(name).File];

    /// <summary>
    /// The blocks of a linear weight as MatMulNBits reads them, in pieces of whole rows in Hugging Face's order, without quantising anew; null if
    /// the weight's type has no such form (<see cref="KeptBlocks.Has"/>).
    /// </summary>
    /// <param name="name">Hugging Face's.</param>
    public IEnumerable<KeptBlocks>? FindBlocks(string name)
    {
        GgufName tensor = Named(name);
        GgufType type = InFile(name).Type;
        return KeptBlocks.Has(type) ? File.ReadRows(tensor.File, PairedHead(tensor)).Select(rows => KeptBlocks.Of(type, rows.Span)) : null;
    }

    public void Dispose() => File.Dispose();

    private static ReadOnlyMemory<float> Shifted(ReadOnlySpan<float> values, float shift)
    {
        float[] result = new float[values.Length];
        TensorPrimitives.Subtract(values, shift, result);
        return result;
    }

    private int PairedHead(GgufName tensor) => architecture.Family.HasPairs && tensor.IsRotated ? architecture.Sizes.HeadSize : 0;

    private GgufName Named(string name) => names.TryGetValue(name, out GgufName? tensor) ? tensor : throw EngineException.InFile(File.Path, $"no tensor is '{name}' of Hugging Face's names.", name);

    private void CheckTensors()
    {
        HashSet<string> known = [.. Configuration];
        foreach (GgufName tensor in GgufNames.InOrder(architecture.Family, architecture.Sizes.Layers))
        {
            if (tensor.IsOptional && !File.Tensors.ContainsKey(tensor.File))
            {
                continue;
            }

            GgufTensorInfo given = File.Readable(tensor.File);
            int[] shape = tensor.Shape(architecture.Sizes);
            if (!given.Shape.SequenceEqual(shape))
            {
                throw EngineException.InFile(File.Path, $"tensor '{tensor.File}' is [{string.Join(", ", given.Shape)}]; the metadata makes it [{string.Join(", ", shape)}].", tensor.File);
            }

            names.Add(tensor.HuggingFace, tensor);
            known.Add(tensor.File);
        }

        if (File.Tensors.Keys.FirstOrDefault(name => !known.Contains(name)) is { } other)
        {
            throw EngineException.InFile(File.Path, $"tensor '{other}' is not known of {File.Metadata.Text(GgufArchitectures.Architecture)}; accepted are the tensors of a decoder of that architecture.", other);
        }
    }
}
