using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Patches;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace ProxyTune.Trainer.Training;

/// <summary>The projections that a low-rank update changes, grouped as the model computes them.</summary>
internal static class LoraTargets
{
    public static readonly string[] QueryKeyValue = [DecoderTensors.Query, DecoderTensors.Key, DecoderTensors.Value];
    public static readonly string[] Output = [DecoderTensors.Output];
    public static readonly string[] GateUp = [DecoderTensors.Gate, DecoderTensors.Up];
    public static readonly string[] Down = [DecoderTensors.Down];

    public static readonly string[] All = [.. QueryKeyValue, .. Output, .. GateUp, .. Down];
}

/// <summary>Low-rank updates of chosen projections (Hu et al., arXiv 2106.09685): W x becomes W x + (alpha / rank) B A x. A starts uniform, B at zero.</summary>
public sealed class LoraAdapter : IDisposable
{
    private readonly Dictionary<string, (Tensor A, Tensor B)> pairs = [];

    public LoraAdapter(DecoderSpec spec, LoraSettings settings, long seed)
    {
        Settings = settings;
        Spec = spec;
        string[] parts = [.. LoraTargets.All.Where(part => settings.ChosenTargets.Contains(DecoderTensors.Projection(part)))];
        (string Name, int[] Shape)[] targets =
            [.. Enumerable.Range(0, spec.Layers).SelectMany(layer => parts.Select(part => (DecoderTensors.Of(layer, part), DecoderTensors.ShapeOf(part, spec))))];
        Parameters = new ParameterSet(targets.SelectMany(target => new (string, int[])[]
        {
            (AName(target.Name), [settings.Rank, target.Shape[1]]),
            (BName(target.Name), [target.Shape[0], settings.Rank]),
        }));
        foreach ((string name, _) in targets)
        {
            pairs[name] = (Parameters.Leaf(AName(name), trainable: true), Parameters.Leaf(BName(name), trainable: true));
        }

        using DisposeScope scope = NewDisposeScope();
        using Generator generator = new((ulong)seed);
        foreach (ParameterSlot slot in Parameters.Slots.Where(slot => AdapterTensors.IsA(slot.Name)))
        {
            // As in PEFT: Kaiming uniform with a = sqrt(5), which is uniform within 1 / sqrt(inputs).
            double bound = 1 / Math.Sqrt(slot.Shape[1]);
            Parameters.Values.narrow(0, slot.Offset, slot.Count).copy_((rand(slot.Count, generator: generator) * 2 - 1) * bound);
        }
    }

    public LoraSettings Settings { get; }

    public DecoderSpec Spec { get; }

    public ParameterSet Parameters { get; }

    /// <summary>The names of the updated weights in the base.</summary>
    public IReadOnlyCollection<string> Targets => pairs.Keys;

    public static string AName(string target) => AdapterTensors.A(DecoderTensors.ModuleOf(target));

    public static string BName(string target) => AdapterTensors.B(DecoderTensors.ModuleOf(target));

    /// <summary>Adds the updates of a group of neighbouring projections to their joint output.</summary>
    /// <param name="output">[rows, outputs of all parts]</param>
    /// <param name="x">[rows, inputs]</param>
    internal Tensor AddTo(Tensor output, Tensor x, int layer, string[] parts)
    {
        if (!parts.Any(part => pairs.ContainsKey(DecoderTensors.Of(layer, part))))
        {
            return output;
        }

        IEnumerable<Tensor> deltas = parts.Select(part => pairs.TryGetValue(DecoderTensors.Of(layer, part), out (Tensor A, Tensor B) pair)
            ? functional.linear(functional.linear(x, pair.A), pair.B)
            : zeros(x.shape[0], DecoderTensors.ShapeOf(part, Spec)[0]));
        return output + Settings.Scale * cat(deltas.ToList(), 1);
    }

    public void Dispose() => Parameters.Dispose();

}
