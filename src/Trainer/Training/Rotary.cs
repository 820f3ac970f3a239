using ProxyTune.Checkpoints.Architectures;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>Rotary position embedding, RoFormer (arXiv 2104.09864), in Hugging Face's order: element i pairs with i + headSize / 2.</summary>
internal sealed class Rotary : IDisposable
{
    private readonly Tensor cos;
    private readonly Tensor sin;

    public Rotary(DecoderSpec spec)
    {
        long[] shape = [1, spec.ContextLength, 1, spec.HeadSize / 2];
        (float[] cosines, float[] sines) = RotaryTable.Of(spec, spec.HeadSize);
        cos = tensor(cosines, shape).DetachFromDisposeScope();
        sin = tensor(sines, shape).DetachFromDisposeScope();
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
