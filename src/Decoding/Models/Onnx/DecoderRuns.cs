namespace ProxyTune.Decoding.Models;

/// <summary>Divides the batches of a model into runs of its graph. The cache's gate is held during each call.</summary>
/// <param name="rows">The memory that receives the logits.</param>
/// <param name="patched">Runs of sequences with patches.</param>
/// <param name="ragged">Runs of blocks of several sequences; null for a graph without such runs.</param>
internal sealed class DecoderRuns(
    DecoderSession decoder, KeyValueCache cache, PrefixCache prefixes, RowMemory rows, PatchedDecoder patched, RaggedDecoder? ragged, int maxSequences) : IDisposable
{
    // Limits the buffer to 64 MiB. It does not limit the number of requested rows.
    private const int MaxRunLogits = 1 << 24;
    private const int LongestChunk = 512;

    // Longer blocks use the processor well in a separate run.
    private const int LongestBlock = 32;

    private readonly DecoderRun run = new(decoder, cache, rows);
    private readonly int rowsPerRun = decoder.GivesLastRowOnly ? 1 : Math.Clamp(MaxRunLogits / decoder.VocabularySize, 16, LongestChunk);
    private readonly List<OnnxSequence> alone = [];
    private readonly List<OnnxSequence> together = [];
    private readonly List<OnnxSequence> blocks = [];

    /// <summary>The number of runs.</summary>
    public long Count { get; private set; }

    /// <summary>The number of runs with slots for patches, included in <see cref="Count"/>.</summary>
    public long PatchedCount { get; private set; }

    /// <summary>The time in the graph, without the runs for patches and for blocks.</summary>
    public TimeSpan Time => run.Time;

    /// <summary>The number of rows that a graph without chosen rows writes beyond the requested ones.</summary>
    private int SpareRows => decoder.ChoosesRows ? 0 : Math.Max(rowsPerRun, maxSequences);

    /// <summary>As <see cref="ILanguageModel.Prefill"/>.</summary>
    public int Prefill(OnnxSequence sequence, int positions)
    {
        ObjectDisposedException.ThrowIf(sequence.IsDisposed, sequence);
        Restore(sequence, sequence.Prompt.Length - 1);
        if (sequence.Pending <= positions)
        {
            return 0;
        }

        (sequence.Input, sequence.LogitsRow, sequence.LogitsRows) = (sequence.PromptLeft[..positions], 0, 0);
        DecoderRows unread = rows.Begin(0, SpareRows);
        try
        {
            RunAlone(sequence);
        }
        finally
        {
            unread.Release();
        }

        return positions;
    }

    /// <summary>As <see cref="ILanguageModel.Forward"/>.</summary>
    public DecoderRows Forward(IReadOnlyList<Segment> batch)
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

    public void Dispose() => run.Dispose();

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
            Count++;
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
        Count++;
        PatchedCount += chosen == run ? 0 : 1;
        return chosen;
    }
}
