using System.Runtime.InteropServices;
using ProxyTune.Checkpoints.Formats;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>The place of one tensor in a <see cref="ParameterSet"/>.</summary>
/// <param name="Offset">The offset of the first element, in elements.</param>
public sealed record ParameterSlot(string Name, int[] Shape, long Offset)
{
    public long Count => Shape.Aggregate(1L, (count, size) => count * size);
}

/// <summary>
/// All weights of a model in one float32 buffer, and their gradients in another of the same order, so that the optimizer, gradient clipping and
/// checkpoints are a few operations on long vectors. Tensors that are neighbours can be used as one matrix (q, k and v as one projection).
/// </summary>
/// <remarks>Matrices come before vectors: weight decay applies to the first <see cref="MatrixElements"/> elements. Not thread-safe.</remarks>
public sealed class ParameterSet : IDisposable
{
    private readonly Dictionary<string, ParameterSlot> slots = [];
    private readonly List<Tensor> leaves = [];

    public ParameterSet(IEnumerable<(string Name, int[] Shape)> tensors)
    {
        long total = 0L;
        foreach ((string? name, int[]? shape) in tensors.OrderBy(t => t.Shape.Length == 1))
        {
            ParameterSlot slot = new(name, shape, total);
            slots.Add(name, slot);
            total += slot.Count;
            MatrixElements = shape.Length > 1 ? total : MatrixElements;
        }

        Values = zeros(total).DetachFromDisposeScope();
        Gradients = zeros(total).DetachFromDisposeScope();
    }

    /// <summary>[elements] of all weights.</summary>
    public Tensor Values { get; }

    /// <summary>[elements], filled by backward passes; zero it before each step.</summary>
    public Tensor Gradients { get; }

    public long MatrixElements { get; }

    /// <summary>The slots in the order of the buffer.</summary>
    public IReadOnlyCollection<ParameterSlot> Slots => slots.Values;

    public ParameterSlot this[string name] => slots[name];

    /// <summary>The weights of one tensor, row-major; writing changes the model.</summary>
    public Span<float> Data(string name) => Data(name, 0, checked((int)slots[name].Count));

    /// <summary>A part of the weights of one tensor. A span cannot reach beyond 2^29 elements of the whole set, so each part has its own.</summary>
    /// <param name="first">The index of the first element in the tensor.</param>
    public Span<float> Data(string name, long first, int count)
    {
        using Tensor part = Values.narrow(0, slots[name].Offset + first, count);
        return MemoryMarshal.Cast<byte, float>(part.bytes);
    }

    /// <summary>The weights of one tensor in pieces of whole rows.</summary>
    public TensorSource Source(string name)
    {
        ParameterSlot slot = slots[name];
        return new(name, slot.Shape, Pieces);

        IEnumerable<ReadOnlyMemory<float>> Pieces()
        {
            int piece = TensorSource.PieceOf(slot.Shape);
            for (long first = 0; first < slot.Count; first += piece)
            {
                yield return Data(name, first, (int)Math.Min(piece, slot.Count - first)).ToArray();
            }
        }
    }

    /// <summary>A trainable view of <paramref name="rows"/> rows from <paramref name="name"/> on, through the neighbours that follow it.</summary>
    public Tensor Leaf(string name, bool trainable, int rows)
    {
        ParameterSlot slot = slots[name];
        long[] shape = slot.Shape.Length == 1 ? [rows] : [rows, slot.Shape[1]];
        Tensor leaf = View(Values, slot.Offset, shape);
        if (trainable)
        {
            leaf.requires_grad = true;
            leaf.grad = View(Gradients, slot.Offset, shape);
        }

        leaves.Add(leaf);
        return leaf;
    }

    public Tensor Leaf(string name, bool trainable) => Leaf(name, trainable, slots[name].Shape[0]);

    public void Dispose()
    {
        leaves.ForEach(leaf => leaf.Dispose());
        Values.Dispose();
        Gradients.Dispose();
    }

    private static Tensor View(Tensor flat, long offset, long[] shape) =>
        flat.narrow(0, offset, shape.Aggregate(1L, (count, size) => count * size)).view(shape).detach().DetachFromDisposeScope();
}
