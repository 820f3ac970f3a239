using System.Diagnostics;
using Microsoft.ML.OnnxRuntime;

namespace ProxyTune.Decoding.Models;

/// <summary>One run of the graph over preallocated, bound inputs and outputs.</summary>
internal sealed class DecoderRun : IDisposable
{
    private readonly DecoderSession decoder;
    private readonly KeyValueCache cache;
    private readonly PatchSlots? slots;
    private readonly OrtIoBinding binding;
    private readonly RunOptions options = new();
    private readonly DecoderTokens tokens;
    private readonly DecoderLogits logits;
    private readonly RowMemory batch;
    private (int Rows, int Positions, int First, int Start, int Version) given;

    /// <param name="batch">The memory that receives the logits.</param>
    /// <param name="slots">The slots of a graph with slots for patches, else null.</param>
    public DecoderRun(DecoderSession decoder, KeyValueCache cache, RowMemory batch, PatchSlots? slots = null)
    {
        this.slots = slots;
        this.decoder = decoder;
        this.cache = cache;
        this.batch = batch;
        binding = decoder.Session.CreateIoBinding();
        tokens = new(decoder, binding);
        logits = new(decoder, binding, batch);
    }

    /// <summary>The time in the graph.</summary>
    public TimeSpan Time { get; private set; }

    /// <summary>Appends each sequence's <see cref="OnnxSequence.Input"/>. All inputs have the same length. It reorders the list to the order of the rows.</summary>
    /// <param name="first">The index of the first position of each input whose logits are requested; the logits of all later positions are requested too. The length of the input requests none.</param>
    public void Execute(List<OnnxSequence> rows, int first = 0)
    {
        int positions = rows[0].Input.Length;
        cache.Bind(binding, rows, positions);
        slots?.Bind(binding, rows);
        int total = rows.Max(s => s.Computed) + positions;
        tokens.Bind(rows.Count, positions, total);
        BindLogits(rows.Count, positions, first);
        for (int row = 0; row < rows.Count; row++)
        {
            tokens.Write(rows[row], row * positions);

            // Rows of different lengths have a mask that is padded on the right: GroupQueryAttention takes the length of a row from the sum of its mask.
            int length = rows[row].Computed + positions;
            tokens.Mask.Fill(row * total, length, 1);
            tokens.Mask.Fill((row * total) + length, total - length, 0);
        }

        long start = Stopwatch.GetTimestamp();
        decoder.Session.RunWithBinding(options, binding);
        Time += Stopwatch.GetElapsedTime(start);
        cache.Advance(rows);
    }

    /// <summary>Makes the logits of a requested position of the last run a row of the batch.</summary>
    public void SetRow(int index, int row, int position) => logits.SetRow(index, (row * (given.Positions - given.First)) + position - given.First);

    public void Dispose()
    {
        cache.Forget(binding);
        binding.Dispose();
        options.Dispose();
        tokens.Dispose();
        logits.Dispose();
    }

    private void BindLogits(int rows, int positions, int first)
    {
        // A graph without chosen rows returns all positions.
        first = decoder.ChoosesRows ? first : decoder.GivesLastRowOnly ? positions - 1 : 0;
        if (given == (rows, positions, first, batch.Current.Next, batch.Current.Version))
        {
            return;
        }

        given = (rows, positions, first, batch.Current.Next, batch.Current.Version);
        int wanted = positions - first, count = rows * wanted;
        if (decoder.ChoosesRows)
        {
            Span<long> chosen = logits.Choose(count);
            for (int i = 0; i < count; i++)
            {
                chosen[i] = ((i / wanted) * positions) + first + (i % wanted);
            }
        }
        else
        {
            logits.TakeAll(rows, wanted);
        }
    }
}

/// <summary>The inputs of a run for its tokens: ids, positions and the mask. An input is bound if the graph has it.</summary>
internal sealed class DecoderTokens(DecoderSession decoder, OrtIoBinding binding) : IDisposable
{
    private readonly NativeTensor ids = new(decoder.TypeOf(decoder.Config.InputIds));
    private readonly NativeTensor positionIds = new(decoder.TypeOf(decoder.Config.PositionIds));
    private (int Rows, int Positions, int Total) bound;

    public NativeTensor Mask { get; } = new(decoder.TypeOf(decoder.Config.AttentionMask));

    /// <param name="total">The width of the mask.</param>
    public void Bind(int rows, int positions, int total)
    {
        if ((rows, positions) != (bound.Rows, bound.Positions))
        {
            Bind(decoder.Config.InputIds, ids, rows, positions);
            Bind(decoder.Config.PositionIds, positionIds, rows, positions);
        }

        if ((rows, positions, total) != bound)
        {
            Bind(decoder.Config.AttentionMask, Mask, rows, total);
            bound = (rows, positions, total);
        }
    }

    /// <summary>Writes a sequence's input.</summary>
    /// <param name="first">The index of the first element, counted over all rows.</param>
    public void Write(OnnxSequence sequence, int first)
    {
        ReadOnlySpan<int> tokens = sequence.Input.Span;
        for (int i = 0; i < tokens.Length; i++)
        {
            ids.Write(first + i, tokens[i]);
            positionIds.Write(first + i, sequence.FirstPosition + sequence.Computed + i);
        }
    }

    public void Dispose()
    {
        ids.Dispose();
        positionIds.Dispose();
        Mask.Dispose();
    }

    private void Bind(string name, NativeTensor tensor, int rows, int columns)
    {
        tensor.Reserve((long)rows * columns);
        if (decoder.Has(name))
        {
            using OrtValue view = tensor.View(0, rows, columns);
            binding.BindInput(name, view);
        }
    }
}
