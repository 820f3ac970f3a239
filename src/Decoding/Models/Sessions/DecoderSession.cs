using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Decoding.Models;

/// <summary>Names of one layer's key or value tensors.</summary>
internal readonly record struct CacheName(string Past, string Present);

/// <summary>The shape of a past or present tensor: [batch, Heads, width, HeadSize].</summary>
/// <param name="FixedWidth">The width if the graph prescribes one.</param>
internal readonly record struct CacheShape(int Heads, int HeadSize, int? FixedWidth, TensorElementType Type);

/// <summary>A session of a decoder's graph or of a variant. It checks that inputs and outputs are those of a decoder with past and present key-value pairs.</summary>
internal sealed class DecoderSession : IDisposable
{
    private readonly DecoderGraph graph;

    /// <param name="blocks">The number of sequences of a <see cref="RaggedGraph"/>; null for other graphs.</param>
    public DecoderSession(DecoderGraph graph, InferenceSession session, int? blocks)
    {
        this.graph = graph;
        Config = graph.Config;
        Session = session;
        string[] patterns = [.. Config.CacheNames];
        CacheName[] names =
        [
            .. Enumerable.Range(0, Config.Layers).SelectMany(layer => new[]
            {
                new CacheName(Layer(patterns[0], layer), Layer(patterns[2], layer)),
                new CacheName(Layer(patterns[1], layer), Layer(patterns[3], layer)),
            }),
        ];
        CacheNames = blocks is { } count
            ? [.. Enumerable.Range(0, count).SelectMany(s => names.Select(name => new CacheName(RaggedGraph.Of(name.Past, s), RaggedGraph.Of(name.Present, s))))]
            : names;
        Check();
    }

    public InferenceSession Session { get; }

    public GenAiConfig Config { get; }

    /// <summary>Key, value, key, value, ... by layer; in a <see cref="RaggedGraph"/> for one sequence after the other.</summary>
    public IReadOnlyList<CacheName> CacheNames { get; }

    public CacheShape Cache { get; private set; }

    /// <summary>The type of an input of integers; 64 bits for an input that the graph does not have.</summary>
    public TensorElementType TypeOf(string input) => Has(input) ? Session.InputMetadata[input].ElementDataType : TensorElementType.Int64;

    public NodeMetadata Logits => Session.OutputMetadata[Config.Logits];

    public int VocabularySize { get; private set; }

    /// <summary>Whether the graph computes logits of the last position only.</summary>
    public bool GivesLastRowOnly => !ChoosesRows && Logits.Dimensions[1] == 1;

    /// <summary>Whether the graph computes logits of chosen positions (<see cref="LogitsRows"/>).</summary>
    public bool ChoosesRows => Has(LogitsRows.Input);

    /// <summary>
    /// Whether past and present can be one buffer that is wider than the text. GroupQueryAttention supports this, since it takes each row's length from
    /// the mask. Other attention reads the whole past tensor.
    /// </summary>
    public bool SharesCache => graph.Contents.Operators.GetValueOrDefault("GroupQueryAttention") == Config.Layers;

    public bool Has(string input) => Session.InputMetadata.ContainsKey(input);

    public void Dispose() => Session.Dispose();

    private static string Layer(string pattern, int layer) => pattern.Replace("%d", $"{layer}", StringComparison.Ordinal);

    private void Check()
    {
        Require(Session.InputMetadata, Config.InputIds, 2);
        foreach (string input in new[] { Config.InputIds, Config.AttentionMask, Config.PositionIds }.Where(Has))
        {
            RequireIntegers(input);
        }

        Require(Session.OutputMetadata, Config.Logits, 3);
        HashSet<string> known = [Config.InputIds, Config.AttentionMask, Config.PositionIds];
        foreach (CacheName name in CacheNames)
        {
            Require(Session.InputMetadata, name.Past, 4);
            Require(Session.OutputMetadata, name.Present, 4);
            known.Add(name.Past);
        }

        if (Session.InputMetadata.Keys.FirstOrDefault(name => !known.Contains(name) && !name.StartsWith(GraphIndex.OwnPrefix, StringComparison.Ordinal)) is { } unknown)
        {
            throw Invalid($"has an input '{unknown}' that is not known; known are {string.Join(", ", known.Take(3))} and past keys and values");
        }

        NodeMetadata past = Session.InputMetadata[CacheNames[0].Past];
        if (Fixed(past.Dimensions[1], Config.KeyValueHeads) is not { } heads || Fixed(past.Dimensions[3], Config.HeadSize) is not { } headSize)
        {
            throw Invalid($"leaves heads or head size of '{CacheNames[0].Past}' open: [{string.Join(", ", past.Dimensions)}]; accepted with num_key_value_heads and head_size in genai_config.json");
        }

        if (past.ElementDataType is not (TensorElementType.Float or TensorElementType.Float16 or TensorElementType.BFloat16))
        {
            throw Invalid($"keeps keys and values in the type {past.ElementDataType}; accepted are Float, Float16 and BFloat16");
        }

        foreach (CacheName name in CacheNames)
        {
            RequireLike(past, CacheNames[0].Past, Session.InputMetadata[name.Past], name.Past);
            RequireLike(past, CacheNames[0].Past, Session.OutputMetadata[name.Present], name.Present);
        }

        if (Logits.Dimensions[2] > 0 && Logits.Dimensions[2] < Config.VocabularySize)
        {
            throw Invalid($"gives rows of {Logits.Dimensions[2]} logits, and vocab_size is {Config.VocabularySize}; accepted is at most the number of logits");
        }

        if (graph.Contents.RotaryPositions is { } positions && positions < Config.ContextLength)
        {
            throw Invalid($"has rotary tables for {positions} positions, and context_length is {Config.ContextLength}; accepted is at most the number of positions");
        }

        // The kernel does not check positions against its tables.
        if (graph.Contents.LongPositions is { } own && (!Has(Config.PositionIds) || graph.Contents.RotaryPositions is not { } rows || (long)own.First + Config.ContextLength > rows))
        {
            throw Invalid($"says that long texts begin at position {own.First}; accepted is that with '{Config.PositionIds}' as an input, and with rotary tables for {Config.ContextLength} positions from there");
        }

        Cache = new(heads, headSize, past.Dimensions[2] > 0 ? past.Dimensions[2] : null, past.ElementDataType);
        VocabularySize = Logits.Dimensions[2] > 0 ? Logits.Dimensions[2] : Config.VocabularySize;
    }

    private static int? Fixed(int dimension, int? configured) => dimension > 0 ? dimension : configured;

    private void RequireIntegers(string input)
    {
        NodeMetadata node = Session.InputMetadata[input];
        if (node.ElementDataType is not (TensorElementType.Int64 or TensorElementType.Int32))
        {
            throw Invalid($"gives '{input}' the type {node.ElementDataType}; accepted are Int64 and Int32");
        }

        if (node.Dimensions is not [_, < 0])
        {
            throw Invalid($"gives '{input}' the shape [{string.Join(", ", node.Dimensions)}]; accepted is [batch, length] with an open length");
        }
    }

    /// <summary>All layers have one type and one number and size of heads. Open dimensions fit any number.</summary>
    private void RequireLike(NodeMetadata first, string firstName, NodeMetadata other, string name)
    {
        bool fits = other.ElementDataType == first.ElementDataType
            && Fits(first.Dimensions[1], other.Dimensions[1]) && Fits(first.Dimensions[3], other.Dimensions[3]);
        if (!fits)
        {
            throw Invalid($"gives '{name}' [{string.Join(", ", other.Dimensions)}] of {other.ElementDataType}, and '{firstName}' [{string.Join(", ", first.Dimensions)}] of {first.ElementDataType}; accepted are the same heads, head size and type in all layers");
        }

        static bool Fits(int one, int other) => one == other || other <= 0;
    }

    private void Require(IReadOnlyDictionary<string, NodeMetadata> nodes, string name, int rank)
    {
        if (!nodes.TryGetValue(name, out NodeMetadata? node))
        {
            throw Invalid($"has no '{name}'; it has {string.Join(", ", nodes.Keys)}");
        }

        if (node.Dimensions.Length != rank)
        {
            throw Invalid($"gives '{name}' {node.Dimensions.Length} dimensions; it must have {rank}");
        }
    }

    private EngineException Invalid(string what)
    {
        Session.Dispose();
        return EngineException.InFile(graph.File, $"the graph {what}.", Config.Graph);
    }
}

/// <summary>Binds the logits of a run: those of the chosen positions if the graph supports it, else those of all positions.</summary>
internal sealed class DecoderLogits(DecoderSession decoder, OrtIoBinding binding, RowMemory memory) : IDisposable
{
    private readonly NativeTensor chosen = new(TensorElementType.Int64);
    private int start;

    /// <summary>Binds room for the chosen rows of a graph, and returns the memory for their positions.</summary>
    public Span<long> Choose(int count)
    {
        TakeAll(1, count);
        chosen.Reserve(Math.Max(1, count));
        using OrtValue indices = chosen.View(0, count);
        binding.BindInput(LogitsRows.Input, indices);
        return chosen.Span<long>(0, count);
    }

    /// <summary>Binds room for all positions.</summary>
    /// <param name="positions">The number of positions of each row.</param>
    public void TakeAll(int count, int positions)
    {
        start = memory.Current.Next;
        using OrtValue view = memory.Current.View(count, positions);
        binding.BindOutput(decoder.Config.Logits, view);
    }

    /// <summary>Makes a row of the last run a row of the batch.</summary>
    public void SetRow(int index, int written) => memory.Current.SetRow(index, written, start);

    public void Dispose() => chosen.Dispose();
}
