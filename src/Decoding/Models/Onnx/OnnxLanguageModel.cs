using Onnx;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// A decoder in an onnxruntime-genai folder, run on raw ONNX Runtime: any graph with input_ids, attention_mask (and position_ids where
/// present) and past and present key/value pairs per layer, in float32, float16 or bfloat16.
/// </summary>
/// <remarks>
/// Graphs with GroupQueryAttention keep keys and values in place. One run appends one token to all sequences of a batch, or blocks of a
/// few tokens to up to 8 sequences; long prompts run per sequence. Other graphs run per sequence. Each sequence can have a different patch
/// (<see cref="FusionStream.Patch"/>). Sequences with different patches, and without patches, are rows of one run. Calls of several threads run
/// one after another.
/// </remarks>
public sealed class OnnxLanguageModel : ILanguageModel
{
    private readonly DecoderGraph graph;
    private readonly DecoderSession decoder;
    private readonly KeyValueCache cache;
    private readonly PrefixCache prefixes;
    private readonly KeyValueMemory? ownMemory;
    private readonly RowMemory rows;
    private readonly PatchedDecoder patched;
    private readonly RaggedDecoder? ragged;
    private readonly DecoderRuns runs;
    private readonly int maxSequences;
    private readonly LongPositions? longPositions;

    private OnnxLanguageModel(DecoderGraph graph, ModelProto variant, string name, string hash, EngineOptions options, KeyValueMemory? memory)
    {
        this.graph = graph;
        decoder = graph.Open(variant);
        maxSequences = options.MaxSequences;
        longPositions = graph.Contents.LongPositions;
        memory ??= ownMemory = new(options.KeyValueBytes);
        cache = decoder.SharesCache ? new SharedCache(decoder, memory) : new GrowingCache(decoder, memory);
        prefixes = new(cache, memory);
        rows = new(decoder);
        LinearLayout layout = LinearNodes.Find(variant);
        patched = new(graph, variant, layout, new(graph, variant, layout.Nodes, hash), cache, rows);
        ragged = cache is SharedCache shared && decoder.ChoosesRows ? new(graph, variant, shared, rows) : null;
        runs = new(decoder, cache, prefixes, rows, patched, ragged, maxSequences);
        Info = new()
        {
            Name = name,
            VocabularySize = decoder.VocabularySize,
            ContextLength = cache.Size.ContextLength,
            KeyValues = cache.Size,
            EndOfTextIds = decoder.Config.EndOfTextIds,
            Hash = hash,
        };
    }

    public ModelInfo Info { get; }

    /// <summary>The number of sequences that are not disposed yet.</summary>
    public int LiveSequences => cache.Count;

    /// <summary>The number of runs of the graph.</summary>
    public long Runs => runs.Count;

    /// <summary>The number of runs of the graph with slots for patches, included in <see cref="Runs"/>.</summary>
    public long PatchedRuns => runs.PatchedCount;

    /// <summary>The time inside ONNX Runtime. The rest of a step is the engine's own time.</summary>
    public TimeSpan RunTime => runs.Time + patched.Time + (ragged?.Time ?? TimeSpan.Zero);

    /// <summary>Loads a folder.</summary>
    /// <param name="name">The name in messages; null for the folder's name.</param>
    /// <param name="memory">A budget that it shares with other models; null for a separate budget.</param>
    /// <exception cref="EngineException">
    /// InvalidModelFolder, naming folder and file; InvalidValue: the execution provider is missing, or the budget is too small for one context.
    /// </exception>
    public static OnnxLanguageModel Load(string folder, EngineOptions options, string? name = null, KeyValueMemory? memory = null)
    {
        DecoderGraph graph = DecoderGraph.Load(folder, options);
        try
        {
            string hash = WeightsHash.Of(folder, graph.Config.Graph, graph.Contents);
            ModelProto variant = LogitsRows.Of(graph.Model, graph.Config.Logits) ?? graph.Model;
            OnnxLanguageModel model = new(graph, variant, name ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))), hash, options, memory);
            KeyValueNeed.Of([(model.Info, model.Info.ContextLength)]).Require("one context");
            return model;
        }
        catch
        {
            graph.Dispose();
            throw;
        }
    }

    /// <summary>The first target of a patch that no known node of the graph holds; such a patch can only be merged. Null if sequences can have the patch.</summary>
    public string? UnknownTarget(PatchSum patch) => patched.Unknown(patch);

    /// <summary>Refuses a patch that sequences cannot use. Any thread may call it.</summary>
    /// <exception cref="EngineException">InvalidModelFolder: the patch does not fit the model; InvalidValue: it overflows.</exception>
    public void Check(PatchSum patch) => patched.Fit(patch);

    /// <summary>Prepares a patch, so that its first sequence starts without a delay. Any thread may call it.</summary>
    /// <exception cref="EngineException">InvalidModelFolder: the patch does not fit the model; InvalidValue: it overflows.</exception>
    public void Prepare(PatchSum patch) => patched.Prepare(patch);

    public Sequence Start(Prompt prompt)
    {
        int length = prompt.TokenCount;
        ArgumentOutOfRangeException.ThrowIfZero(length, nameof(prompt));
        if (length > Info.ContextLength)
        {
            throw new EngineException(EngineError.PromptTooLong, $"The prompt has {length} tokens; '{Info.Name}' holds {Info.ContextLength}.", "prompt");
        }

        PatchSum? patch = prompt.Plan.Streams[0].Patch;
        int maxLength = (int)Math.Min(Info.ContextLength, (long)length + prompt.MaxAppended);

        // The kind of rotary positions is settled for the whole sequence, since keys of both kinds must not meet.
        int firstPosition = longPositions is { } positions && maxLength > positions.LongestShort ? positions.First : 0;
        OnnxSequence sequence = new(prefixes, prompt.Streams[0], maxLength, Info.EndOfTextIds)
        {
            FirstPosition = firstPosition,
            Patch = patch,
            Fitted = patch is null ? null : patched.Prepare(patch),
            Scope = prompt.Tenant is null ? null : new(prompt.Tenant, patch?.Hash ?? "", firstPosition),
        };
        lock (cache.Gate)
        {
            if (LiveSequences >= maxSequences)
            {
                throw new EngineException(EngineError.QueueFull, $"'{Info.Name}' holds {LiveSequences} sequences, which is the maximum.");
            }

            if (cache.TryAdd(sequence))
            {
                return sequence;
            }
        }

        throw new EngineException(EngineError.QueueFull, $"The memory for keys and values has no room for {sequence.MaxLength} more tokens of '{Info.Name}' now.");
    }

    public int Prefill(Sequence sequence, int positions)
    {
        OnnxSequence own = (OnnxSequence)sequence;
        lock (cache.Gate)
        {
            return runs.Prefill(own, positions);
        }
    }

    public RowBatch Forward(IReadOnlyList<Segment> batch)
    {
        lock (cache.Gate)
        {
            return runs.Forward(batch);
        }
    }

    public void Dispose()
    {
        ragged?.Dispose();
        patched.Dispose();
        runs.Dispose();
        rows.Dispose();
        lock (cache.Gate)
        {
            prefixes.Dispose();
            cache.Dispose();
        }

        ownMemory?.Dispose();
        decoder.Dispose();
        graph.Dispose();
    }
}
