using Microsoft.ML.OnnxRuntime;

namespace ProxyTune.Decoding.Models;

/// <summary>The inputs that a run has for its tokens: ids, positions and the mask, each bound where the graph asks for it.</summary>
internal sealed class DecoderTokens(DecoderSession decoder, OrtIoBinding binding) : IDisposable
{
    private readonly NativeTensor ids = new(decoder.InputType);
    private readonly NativeTensor positionIds = new(decoder.InputType);
    private (int Rows, int Positions, int Total) bound;

    public NativeTensor Mask { get; } = new(decoder.InputType);

    /// <param name="total">Width of the mask.</param>
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
    /// <param name="first">Where, counted through all rows.</param>
    public void Write(OnnxSequence sequence, int first)
    {
        ReadOnlySpan<int> tokens = sequence.Input.Span;
        for (int i = 0; i < tokens.Length; i++)
        {
            ids.Write(first + i, tokens[i]);
            positionIds.Write(first + i, sequence.Computed + i);
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
