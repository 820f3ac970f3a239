using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>Rotary position embedding, RoFormer (arXiv 2104.09864), in Hugging Face's order: element i pairs with i + headSize / 2.</summary>
internal sealed class Rotary : IDisposable
{
    private readonly Tensor _cos;
    private readonly Tensor _sin;

    public Rotary(int positions, int headSize, double theta)
    {
        var half = headSize / 2;
        using var scope = NewDisposeScope();
        var frequencies = pow(theta, arange(half, ScalarType.Float64) * (-2.0 / headSize));
        var angles = outer(arange(positions, ScalarType.Float64), frequencies).view(1, positions, 1, half);
        _cos = angles.cos().to(ScalarType.Float32).DetachFromDisposeScope();
        _sin = angles.sin().to(ScalarType.Float32).DetachFromDisposeScope();
    }

    /// <param name="heads">[batch, positions, heads, headSize], positions counted from 0.</param>
    public Tensor Rotate(Tensor heads)
    {
        var positions = heads.shape[1];
        var (cos, sin) = (_cos.narrow(1, 0, positions), _sin.narrow(1, 0, positions));
        var halves = heads.chunk(2, 3);
        return cat([halves[0] * cos - halves[1] * sin, halves[1] * cos + halves[0] * sin], 3);
    }

    public void Dispose()
    {
        _cos.Dispose();
        _sin.Dispose();
    }
}
