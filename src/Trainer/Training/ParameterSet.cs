using System.Runtime.InteropServices;
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
    public Span<float> Data(string name) =>
        MemoryMarshal.Cast<byte, float>(Values.bytes).Slice((int)slots[name].Offset, (int)slots[name].Count);

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
