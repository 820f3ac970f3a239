using System.Numerics.Tensors;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ProxyTune.Checkpoints.Graphs;

namespace ProxyTune.Decoding.Models;

/// <summary>The logits that a run gives: of the positions that are chosen where the graph can choose, else of all.</summary>
internal sealed class DecoderLogits(DecoderSession decoder, OrtIoBinding binding) : IDisposable
{
    private readonly NativeTensor chosen = new(TensorElementType.Int64);
    private readonly NativeTensor logits = new(decoder.Logits.ElementDataType);

    /// <summary>For a graph that chooses: binds room for that many rows, and gives where their positions have to be written.</summary>
    public Span<long> Choose(int count)
    {
        Bind(1, count);
        chosen.Reserve(Math.Max(1, count));
        using OrtValue indices = chosen.View(0, count);
        binding.BindInput(LogitsRows.Input, indices);
        return chosen.Span<long>(0, count);
    }

    /// <summary>For other graphs.</summary>
    /// <param name="positions">How many the graph gives of each row.</param>
    public void TakeAll(int rows, int positions) => Bind(rows, positions);

    /// <summary>Copies one of the rows, counted through, as float32.</summary>
    public void Read(long row, Span<float> destination)
    {
        int width = decoder.VocabularySize;
        switch (logits.Type)
        {
            case TensorElementType.Float:
                logits.Span<float>(row * width, width).CopyTo(destination);
                break;
            case TensorElementType.Float16:
                TensorPrimitives.ConvertToSingle(logits.Span<Half>(row * width, width), destination);
                break;
            default:
                ReadOnlySpan<ushort> upperHalves = logits.Span<ushort>(row * width, width);
                for (int i = 0; i < width; i++)
                {
                    destination[i] = BitConverter.UInt32BitsToSingle((uint)upperHalves[i] << 16);
                }

                break;
        }
    }

    public void Dispose()
    {
        chosen.Dispose();
        logits.Dispose();
    }

    private void Bind(int rows, int positions)
    {
        logits.Reserve(Math.Max(1, (long)rows * positions * decoder.VocabularySize));
        using OrtValue view = logits.View(0, rows, positions, decoder.VocabularySize);
        binding.BindOutput(decoder.Config.Logits, view);
    }
}
