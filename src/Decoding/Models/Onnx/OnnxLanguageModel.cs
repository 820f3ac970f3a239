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
    // Limits the buffer to 64 MiB. It does not limit the number of requested rows.
    private const int MaxRunLogits = 1 << 24;
    private const int LongestChunk = 512;

    // Longer blocks use the processor well in a separate run.
    private const int LongestBlock = 32;

    private readonly DecoderGraph graph;
    private readonly DecoderSession decoder;
    private readonly KeyValueCache cache;
    private readonly PrefixCache prefixes;
    private readonly KeyValueMemory? ownMemory;
    private readonly RowMemory rows;
    private readonly DecoderRun run;
    private readonly PatchedDecoder patched;
    private readonly RaggedDecoder? ragged;
    private readonly int maxSequences;
    private readonly int rowsPerRun;
    private readonly List<OnnxSequence> alone = [];
    private readonly List<OnnxSequence> together = [];
    private readonly List<OnnxSequence> blocks = [];

    private OnnxLanguageModel(DecoderGraph graph, ModelProto variant, string name, string hash, EngineOptions options, KeyValueMemory? memory)
    {
        this.graph = graph;
        decoder = graph.Open(variant);
        maxSequences = options.MaxSequences;
        memory ??= ownMemory = new(options.KeyValueBytes);
        cache = decoder.SharesCache ? new SharedCache(decoder, memory) : new GrowingCache(decoder, memory);
        prefixes = new(cache, memory);
        rows = new(decoder);
        run = new(decoder, cache, rows);
        LinearLayout layout = LinearNodes.Find(variant);
        patched = new(graph, variant, layout, new(graph, variant, layout.Nodes, hash), cache, rows);
        ragged = cache is SharedCache shared && decoder.ChoosesRows ? new(graph, variant, shared, rows) : null;
        rowsPerRun = decoder.GivesLastRowOnly ? 1 : Math.Clamp(MaxRunLogits / decoder.VocabularySize, 16, LongestChunk);
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
    public long Runs { get; private set; }

    /// <summary>The number of runs of the graph with slots for patches, included in <see cref="Runs"/>.</summary>
    public long PatchedRuns { get; private set; }

    /// <summary>The time inside ONNX Runtime. The rest of a step is the engine's own time.</summary>
    public TimeSpan RunTime => run.Time + patched.Time + (ragged?.Time ?? TimeSpan.Zero);

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
        OnnxSequence sequence = new(prefixes, prompt.Streams[0], (int)Math.Min(Info.ContextLength, (long)length + prompt.MaxAppended), Info.EndOfTextIds)
        {
            Patch = patch,
            Fitted = patch is null ? null : patched.Prepare(patch),
            Scope = prompt.Tenant is null ? null : new(prompt.Tenant, patch?.Hash ?? ""),
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
            ObjectDisposedException.ThrowIf(own.IsDisposed, own);
            Restore(own, own.Prompt.Length - 1);
            if (own.Pending <= positions)
            {
                return 0;
            }

            (own.Input, own.LogitsRow, own.LogitsRows) = (own.PromptLeft[..positions], 0, 0);
            DecoderRows unread = rows.Begin(0, SpareRows);
            try
            {
                RunAlone(own);
            }
            finally
            {
                unread.Release();
            }
        }

        return positions;
    }

    public RowBatch Forward(IReadOnlyList<Segment> batch)
    {
        lock (cache.Gate)
        {
            DecoderRows begun = rows.Begin(batch.Sum(static segment => segment.Rows), SpareRows);
            try
            {
                Run(batch);
                return begun;
            }
            catch
            {
                begun.Release();
                throw;
            }
        }
    }

    public void Dispose()
    {
        ragged?.Dispose();
        patched.Dispose();
        run.Dispose();
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

    /// <summary>The number of rows that a graph without chosen rows writes beyond the requested ones.</summary>
    private int SpareRows => decoder.ChoosesRows ? 0 : Math.Max(rowsPerRun, maxSequences);

    private void Run(IReadOnlyList<Segment> batch)
    {
        together.Clear();
        blocks.Clear();
        int row = 0;
        foreach (Segment segment in batch)
        {
            OnnxSequence sequence = OnnxSequence.Of(segment);
            Restore(sequence, sequence.Prompt.Length + segment.Tokens.Length - segment.Rows);
            sequence.Take(segment, row);
            if (cache.Batches && sequence.Computed > 0 && sequence.Input.Length == 1)
            {
                together.Add(sequence);
            }
            else if (ragged is not null && sequence.Fitted is null && sequence.Input.Length <= LongestBlock)
            {
                blocks.Add(sequence);
            }
            else
            {
                RunAlone(sequence);
            }

            row += segment.Rows;
        }

        RunBlocks();
        if (together.Count > 0)
        {
            DecoderRun done = Execute(together);
            for (int i = 0; i < together.Count; i++)
            {
                done.SetRow(together[i].LogitsRow, i, 0);
                prefixes.StorePrompt(together[i]);
            }
        }
    }

    /// <summary>Copies the beginning of a new sequence's prompt from the prefix cache.</summary>
    private void Restore(OnnxSequence sequence, int maxLength)
    {
        if (sequence.Computed == 0)
        {
            prefixes.Restore(sequence, Math.Min(maxLength, sequence.Prompt.Length));
        }
    }

    /// <summary>Runs blocks of several tokens. Sequences that append one token fill the remaining places of the run.</summary>
    private void RunBlocks()
    {
        if (blocks.Count > 0 && blocks.Count + together.Count <= RaggedDecoder.MaxSequences && together.TrueForAll(sequence => sequence.Fitted is null))
        {
            blocks.AddRange(together);
            together.Clear();
        }

        for (int next = 0; next < blocks.Count;)
        {
            if (next == blocks.Count - 1)
            {
                RunAlone(blocks[next++]);
                continue;
            }

            RaggedRun run = ragged!.For(blocks.Count - next);
            List<OnnxSequence> batch = blocks.GetRange(next, run.Sequences);
            run.Execute(batch);
            Runs++;
            int row = 0;
            foreach (OnnxSequence sequence in batch)
            {
                for (int i = 0; i < sequence.LogitsRows; i++)
                {
                    run.SetRow(sequence.LogitsRow + i, row++);
                }

                prefixes.StorePrompt(sequence);
            }

            next += run.Sequences;
        }
    }

    private void RunAlone(OnnxSequence sequence)
    {
        ReadOnlyMemory<int> tokens = sequence.Input;
        int firstWanted = tokens.Length - sequence.LogitsRows;
        for (int start = 0, end; start < tokens.Length; start = end)
        {
            // In a graph without chosen rows, every position costs a row.
            end = Math.Min(tokens.Length, start + (decoder.ChoosesRows || decoder.GivesLastRowOnly ? LongestChunk : rowsPerRun));
            if (end > firstWanted)
            {
                end = Math.Min(end, Math.Max(start, firstWanted) + rowsPerRun);
            }

            sequence.Input = tokens[start..end];
            alone.Clear();
            alone.Add(sequence);
            DecoderRun done = Execute(alone, Math.Clamp(firstWanted - start, 0, end - start));
            for (int position = Math.Max(start, firstWanted); position < end; position++)
            {
                done.SetRow(sequence.LogitsRow + position - firstWanted, 0, position - start);
            }
        }

        if (sequence.Pending == 0)
        {
            prefixes.StorePrompt(sequence);
        }
    }

    /// <returns>The run that has the rows.</returns>
    private DecoderRun Execute(List<OnnxSequence> sequences, int firstWanted = 0)
    {
        DecoderRun chosen = sequences.Exists(sequence => sequence.Fitted is not null) ? patched.TakeRun() : run;
        chosen.Execute(sequences, firstWanted);
        Runs++;
        PatchedRuns += chosen == run ? 0 : 1;
        return chosen;
    }
}
