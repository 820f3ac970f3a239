using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>Rotary position embedding, RoFormer (arXiv 2104.09864), in Hugging Face's order: element i pairs with i + headSize / 2.</summary>
internal sealed class Rotary : IDisposable
{
    private readonly Tensor _cos;
    private readonly Tensor _sin;
    private readonly int _half;

    public Rotary(int positions, int headSize, double theta)
    {
        _half = headSize / 2;
        using var scope = NewDisposeScope();
        var frequencies = pow(theta, arange(_half, ScalarType.Float64) * (-2.0 / headSize));
        var angles = outer(arange(positions, ScalarType.Float64), frequencies).view(1, positions, 1, _half);
        _cos = angles.cos().to(ScalarType.Float32).DetachFromDisposeScope();
        _sin = angles.sin().to(ScalarType.Float32).DetachFromDisposeScope();
    }

    /// <param name="heads">[batch, positions, heads, headSize], positions counted from 0.</param>
    public Tensor Rotate(Tensor heads)
    {
        var positions = heads.shape[1];
        var (cos, sin) = (_cos.narrow(1, 0, positions), _sin.narrow(1, 0, positions));
        var (first, second) = (heads.narrow(3, 0, _half), heads.narrow(3, _half, _half));
        return cat([first * cos - second * sin, second * cos + first * sin], 3);
    }

    public void Dispose()
    {
        _cos.Dispose();
        _sin.Dispose();
    }
}
