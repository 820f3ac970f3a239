using System.Numerics;
using Onnx;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Decoding.Models;

/// <summary>Appends several tokens to several sequences in one run: sessions of the graph's ragged variants, over the same weights and the same cache.</summary>
/// <param name="model">The variant for one sequence, which chooses its rows.</param>
internal sealed class RaggedDecoder(DecoderGraph graph, ModelProto model, SharedCache cache, DecoderRows rows) : IDisposable
{
    /// <summary>Sequences of one run at most.</summary>
    public const int MaxSequences = 8;

    private readonly Dictionary<int, RaggedRun> runs = [];

    public TimeSpan Time => runs.Values.Aggregate(TimeSpan.Zero, (sum, run) => sum + run.Time);

    /// <summary>A run for as many of the sequences as possible, a power of two; opened when it is first needed.</summary>
    /// <param name="sequences">At least 2.</param>
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
