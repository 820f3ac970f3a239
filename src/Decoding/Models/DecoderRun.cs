using System.Diagnostics;
using System.Numerics.Tensors;

using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace ProxyTune.Decoding.Models;

/// <summary>One run of the graph over preallocated, bound inputs and outputs.</summary>
internal sealed class DecoderRun : IDisposable
{
    private readonly DecoderSession decoder;
    private readonly KeyValueCache cache;
    private readonly OrtIoBinding binding;
    private readonly RunOptions options = new();
    private readonly NativeTensor ids;
    private readonly NativeTensor positionIds;
    private readonly NativeTensor mask;
    private readonly NativeTensor logits;
    private (int Rows, int Positions, int Total) bound;

    public DecoderRun(DecoderSession decoder, KeyValueCache cache)
    {
        this.decoder = decoder;
        this.cache = cache;
        binding = decoder.Session.CreateIoBinding();
        ids = new(decoder.InputType);
        positionIds = new(decoder.InputType);
        mask = new(decoder.InputType);
        logits = new(decoder.Logits.ElementDataType);
    }

    /// <summary>Time spent in the graph.</summary>
    public TimeSpan Time { get; private set; }

    /// <summary>Appends each sequence's <see cref="OnnxSequence.Input"/>, equally many. Reorders the list to the order of the rows.</summary>
    public void Execute(List<OnnxSequence> rows)
    {
        int positions = rows[0].Input.Length;
        cache.Bind(binding, rows, positions);
        BindShapes(rows.Count, positions, rows.Max(s => s.Computed) + positions);
        for (int row = 0; row < rows.Count; row++)
        {
            Fill(rows[row], row);
        }

        long start = Stopwatch.GetTimestamp();
        decoder.Session.RunWithBinding(options, binding);
        Time += Stopwatch.GetElapsedTime(start);
        cache.Advance(rows, positions);
    }

    /// <summary>Copies the logits of one position of the last run, as float32.</summary>
    public void Read(int row, int position, Span<float> destination)
    {
        int width = decoder.VocabularySize;
        long first = (decoder.GivesLastRowOnly ? row : ((long)row * bound.Positions) + position) * width;
        switch (logits.Type)
        {
            case TensorElementType.Float:
                logits.Span<float>(first, width).CopyTo(destination);
                break;
            case TensorElementType.Float16:
                TensorPrimitives.ConvertToSingle(logits.Span<Half>(first, width), destination);
                break;
            default:
                ReadOnlySpan<ushort> upperHalves = logits.Span<ushort>(first, width);
                for (int i = 0; i < width; i++)
                {
                    destination[i] = BitConverter.UInt32BitsToSingle((uint)upperHalves[i] << 16);
                }

                break;
        }
    }

    public void Dispose()
    {
        binding.Dispose();
        options.Dispose();
        ids.Dispose();
        positionIds.Dispose();
        mask.Dispose();
        logits.Dispose();
    }

    private void Fill(OnnxSequence sequence, int row)
    {
        ReadOnlySpan<int> tokens = sequence.Input.Span;
        int positions = tokens.Length;
        for (int i = 0; i < positions; i++)
        {
            Write(ids, (row * positions) + i, tokens[i]);
            Write(positionIds, (row * positions) + i, sequence.Computed + i);
        }

        // A ragged batch is a mask padded on the right: GroupQueryAttention takes each row's length from its sum.
        int length = sequence.Computed + positions;
        for (int i = 0; i < bound.Total; i++)
        {
            Write(mask, (row * bound.Total) + i, i < length ? 1 : 0);
        }
    }

    private static void Write(NativeTensor tensor, int index, int value)
    {
        if (tensor.Type == TensorElementType.Int64)
        {
            tensor.Span<long>(index, 1)[0] = value;
        }
        else
        {
            tensor.Span<int>(index, 1)[0] = value;
        }
    }

    private void BindShapes(int rows, int positions, int total)
    {
        (int Rows, int Positions, int Total) shapes = (rows, positions, total);
        if (shapes == bound)
        {
            return;
        }

        if ((rows, positions) != (bound.Rows, bound.Positions))
        {
            BindInput(decoder.Config.InputIds, ids, rows, positions);
            BindInput(decoder.Config.PositionIds, positionIds, rows, positions);
            int given = decoder.GivesLastRowOnly ? 1 : positions;
            logits.Reserve((long)rows * given * decoder.VocabularySize);
            using OrtValue view = logits.View(0, rows, given, decoder.VocabularySize);
            binding.BindOutput(decoder.Config.Logits, view);
        }

        BindInput(decoder.Config.AttentionMask, mask, rows, total);
        bound = shapes;
    }

    private void BindInput(string name, NativeTensor tensor, int rows, int columns)
    {
        tensor.Reserve((long)rows * columns);
        if (decoder.Has(name))
        {
            using OrtValue view = tensor.View(0, rows, columns);
            binding.BindInput(name, view);
        }
    }
}
