using System.Diagnostics;
using System.Numerics;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Onnx;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Decoding.Models;

/// <summary>Appends several tokens to several sequences in one run. Its sessions use the graph's ragged variants with the same weights and the same cache.</summary>
/// <param name="model">The variant for one sequence, with chosen rows.</param>
internal sealed class RaggedDecoder(DecoderGraph graph, ModelProto model, SharedCache cache, RowMemory rows) : IDisposable
{
    /// <summary>The largest number of sequences of one run.</summary>
    public const int MaxSequences = 8;

    private readonly Dictionary<int, RaggedRun> runs = [];

    public TimeSpan Time => runs.Values.Aggregate(TimeSpan.Zero, (sum, run) => sum + run.Time);

    /// <summary>A run for as many of the sequences as possible, a power of two. Its session is opened at the first use.</summary>
    /// <param name="sequences">The number of sequences, at least 2.</param>
    public RaggedRun For(int sequences)
    {
        int size = Math.Min(MaxSequences, 1 << BitOperations.Log2((uint)sequences));
        if (!runs.TryGetValue(size, out RaggedRun? run))
        {
            runs[size] = run = new(graph.Open(RaggedGraph.Of(model, size), size), cache, rows, size);
        }

        return run;
    }

    public void Dispose()
    {
        foreach (RaggedRun run in runs.Values)
        {
            run.Dispose();
        }
    }
}

/// <summary>A run that appends blocks of different lengths to a fixed number of sequences, over a <see cref="RaggedGraph"/>.</summary>
internal sealed class RaggedRun : IDisposable
{
    private readonly DecoderSession decoder;
    private readonly SharedCache cache;
    private readonly OrtIoBinding binding;
    private readonly RunOptions options = new();
    private readonly DecoderTokens tokens;
    private readonly NativeTensor blocks = new(TensorElementType.Int64);
    private readonly NativeTensor lengths = new(TensorElementType.Int32);
    private readonly DecoderLogits logits;

    public RaggedRun(DecoderSession decoder, SharedCache cache, RowMemory rows, int sequences)
    {
        (this.decoder, this.cache, Sequences) = (decoder, cache, sequences);
        binding = decoder.Session.CreateIoBinding();
        tokens = new(decoder, binding);
        logits = new(decoder, binding, rows);
        BindLengths();
    }

    public int Sequences { get; }

    /// <summary>The time in the graph.</summary>
    public TimeSpan Time { get; private set; }

    /// <summary>Appends each sequence's <see cref="OnnxSequence.Input"/>, and computes the logits of its newest <see cref="OnnxSequence.LogitsRows"/> positions.</summary>
    public void Execute(IReadOnlyList<OnnxSequence> batch)
    {
        cache.BindEach(binding, batch, decoder.CacheNames);
        int all = batch.Sum(sequence => sequence.Input.Length);

        // The logits do not depend on the mask in this variant, so its contents do not matter.
        tokens.Bind(1, all, all);
        Span<long> wanted = logits.Choose(batch.Sum(sequence => sequence.LogitsRows));
        int position = 0, row = 0;
        for (int s = 0; s < batch.Count; s++)
        {
            OnnxSequence sequence = batch[s];
            int length = sequence.Input.Length;
            tokens.Write(sequence, position);
            position += length;
            blocks.Write(s, length);
            lengths.Write(s, sequence.Computed + length - 1);
            lengths.Write(Sequences + s, sequence.Computed + length);
            for (int i = sequence.LogitsRows; i > 0; i--)
            {
                wanted[row++] = position - i;
            }
        }

        long start = Stopwatch.GetTimestamp();
        decoder.Session.RunWithBinding(options, binding);
        Time += Stopwatch.GetElapsedTime(start);
        foreach (OnnxSequence sequence in batch)
        {
            sequence.Advance();
        }
    }

    /// <summary>Makes a requested row of the last run, counted over all sequences, a row of the batch.</summary>
    public void SetRow(int index, int row) => logits.SetRow(index, row);

    public void Dispose()
    {
        cache.Forget(binding);
        binding.Dispose();
        options.Dispose();
        tokens.Dispose();
        blocks.Dispose();
        lengths.Dispose();
        logits.Dispose();
        decoder.Dispose();
    }

    private void BindLengths()
    {
        blocks.Reserve(Sequences);
        lengths.Reserve(2 * Sequences);
        using OrtValue ofBlocks = blocks.View(0, Sequences);
        binding.BindInput(RaggedGraph.Blocks, ofBlocks);
        for (int s = 0; s < Sequences; s++)
        {
            using OrtValue last = lengths.View(s, 1), length = lengths.View(Sequences + s);
            binding.BindInput(RaggedGraph.LastPosition(s), last);
            binding.BindInput(RaggedGraph.Length(s), length);
        }
    }
}
