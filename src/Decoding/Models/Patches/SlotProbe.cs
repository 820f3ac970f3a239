using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>Runs a prompt in a session with slots.</summary>
internal sealed class SlotProbe(DecoderSession session, IReadOnlyList<LinearNode> nodes, FittedPatch fit, IReadOnlyList<int> tokens)
{
    /// <param name="filled">The nodes that get the patch; the other slots stay empty.</param>
    public float[] LastRow(ICollection<int> filled)
    {
        using NativeTensor zeros = new(TensorElementType.Float);
        zeros.Reserve(nodes.Max(node => Math.Max(node.Inputs, node.Outputs)));
        Dictionary<string, OrtValue> inputs = [];
        for (int i = 0; i < nodes.Count; i++)
        {
            (string a, string b) = LoraSlots.Inputs(nodes[i]);
            if (!session.Has(a))
            {
                continue;
            }

            SlotPair? pair = filled.Contains(i) ? fit.Pairs[i] : null;
            inputs[a] = pair is null ? zeros.View(0, 1, nodes[i].Inputs, 1) : OrtValue.CreateTensorValueFromMemory(pair.A, [1, nodes[i].Inputs, pair.Rank]);
            inputs[b] = pair is null ? zeros.View(0, 1, 1, nodes[i].Outputs) : OrtValue.CreateTensorValueFromMemory(pair.B, [1, pair.Rank, nodes[i].Outputs]);
        }

        return ProbeRun.LastRow(session, tokens, inputs);
    }
}
