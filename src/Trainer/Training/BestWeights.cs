using System.Text.Json.Nodes;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>Stores the weights with the lowest validation loss.</summary>
internal sealed class BestWeights(ParameterSet parameters) : IDisposable
{
    public Tensor Values { get; } = parameters.Values.clone().DetachFromDisposeScope();

    public double Loss { get; private set; } = double.PositiveInfinity;

    public long Step { get; private set; }

    /// <summary>The number of validations since the best one.</summary>
    public int Waited { get; private set; }

    public void Offer(double loss, long step)
    {
        if (loss < Loss)
        {
            (Loss, Step, Waited) = (loss, step, 0);
            Values.copy_(parameters.Values);
        }
        else
        {
            Waited++;
        }
    }

    /// <summary>Copies the best weights into the model, if there was a validation.</summary>
    public void Use()
    {
        if (Step > 0)
        {
            parameters.Values.copy_(Values);
        }
    }

    public JsonObject ToJson() => new() { ["loss"] = Step > 0 ? Loss : null, ["step"] = Step, ["waited"] = Waited };

    public void Restore(JsonObject json) =>
        (Loss, Step, Waited) = ((double?)json["loss"] ?? double.PositiveInfinity, (long)json["step"]!, (int)json["waited"]!);

    public void Dispose() => Values.Dispose();
}
