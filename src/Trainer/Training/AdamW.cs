using TorchSharp;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101). Only matrices decay, vectors do not.</summary>
/// <remarks>The state is the two moments and the number of finished steps.</remarks>
public sealed class AdamW(ParameterSet parameters, double beta1 = 0.9, double beta2 = 0.95, double epsilon = 1e-8, double weightDecay = 0.1) : IDisposable
{
    public Tensor FirstMoment { get; } = zeros_like(parameters.Values).DetachFromDisposeScope();

    public Tensor SecondMoment { get; } = zeros_like(parameters.Values).DetachFromDisposeScope();

    public long Steps { get; set; }

    /// <summary>Scales the gradients so that their norm is at most <paramref name="maxNorm"/> (0: no limit), then moves the weights.</summary>
    public void Step(double learningRate, double maxNorm)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        Tensor gradients = parameters.Gradients;
        if (maxNorm > 0)
        {
            // The factor stays a tensor, so that nothing waits for the norm's value.
            gradients.mul_((maxNorm / (gradients.norm() + 1e-6)).clamp_max_(1));
        }

        Steps++;
        FirstMoment.mul_(beta1).add_(gradients, 1 - beta1);
        SecondMoment.mul_(beta2).addcmul_(gradients, gradients, 1 - beta2);
        Tensor denominator = SecondMoment.sqrt().mul_(1 / Math.Sqrt(1 - Math.Pow(beta2, Steps))).add_(epsilon);
        parameters.Values.narrow(0, 0, parameters.MatrixElements).mul_(1 - learningRate * weightDecay);
        parameters.Values.addcdiv_(FirstMoment, denominator, -learningRate / (1 - Math.Pow(beta1, Steps)));
        gradients.zero_();
    }

    public void Dispose()
    {
        FirstMoment.Dispose();
        SecondMoment.Dispose();
    }
}
