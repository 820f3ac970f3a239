using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Decoding.Models;

/// <summary>Binds the logits of a run: of the positions that are chosen where the graph can choose, else of all.</summary>
internal sealed class DecoderLogits(DecoderSession decoder, OrtIoBinding binding, DecoderRows rows) : IDisposable
{
    private readonly NativeTensor chosen = new(TensorElementType.Int64);
    private int start;

    /// <summary>For a graph that chooses: binds room for that many rows, and gives the place to write their positions to.</summary>
    public Span<long> Choose(int count)
    {
        TakeAll(1, count);
        chosen.Reserve(Math.Max(1, count));
        using OrtValue indices = chosen.View(0, count);
        binding.BindInput(LogitsRows.Input, indices);
        return chosen.Span<long>(0, count);
    }

    /// <summary>For other graphs.</summary>
    /// <param name="positions">How many the graph gives of each row.</param>
    public void TakeAll(int count, int positions)
    {
        start = rows.Next;
        using OrtValue view = rows.View(count, positions);
        binding.BindOutput(decoder.Config.Logits, view);
    }

    /// <summary>Makes a row of the last run, counted through, a row of the batch.</summary>
    public void Keep(int index, int written) => rows.Keep(index, written, start);

    public void Dispose() => chosen.Dispose();
}
