using TorchSharp;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>Rotary position embedding, RoFormer (arXiv 2104.09864), in Hugging Face's order: element i pairs with i + headSize / 2.</summary>
internal sealed class Rotary : IDisposable
{
    private readonly Tensor cos;
    private readonly Tensor sin;

    public Rotary(int positions, int headSize, double theta)
    {
        int half = headSize / 2;
        using DisposeScope scope = NewDisposeScope();
        Tensor frequencies = pow(theta, arange(half, ScalarType.Float64) * (-2.0 / headSize));
        Tensor angles = outer(arange(positions, ScalarType.Float64), frequencies).view(1, positions, 1, half);
        cos = angles.cos().to(ScalarType.Float32).DetachFromDisposeScope();
        sin = angles.sin().to(ScalarType.Float32).DetachFromDisposeScope();
    }

    /// <param name="heads">[batch, positions, heads, headSize], positions counted from 0.</param>
    public Tensor Rotate(Tensor heads)
    {
        long positions = heads.shape[1];
        (Tensor? cos, Tensor? sin) = (this.cos.narrow(1, 0, positions), this.sin.narrow(1, 0, positions));
        Tensor[] halves = heads.chunk(2, 3);
        return cat([halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin], 3);
    }

    public void Dispose()
    {
        cos.Dispose();
        sin.Dispose();
    }
}
