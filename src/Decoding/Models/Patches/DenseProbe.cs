using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Onnx;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>Runs a prompt in a separate session with a patch's update as dense matrices.</summary>
/// <param name="nodes">All nodes that the patch changes.</param>
internal sealed class DenseProbe(DecoderGraph graph, ModelProto model, IReadOnlyList<LinearNode> nodes, PatchSum patch, IReadOnlyList<int> tokens) : IDisposable
{
    private readonly DecoderSession session = graph.Open(DenseUpdates.Of(model, nodes), isAlone: true);

    /// <param name="filled">The nodes that get the update; the others get zeros.</param>
    public float[] LastRow(ICollection<LinearNode> filled)
    {
        // Never written, so never real.
        using NativeTensor zeros = new(TensorElementType.Float);
        zeros.Reserve(nodes.Max(node => (long)node.Inputs * node.Outputs));
        return ProbeRun.LastRow(session, tokens, nodes.ToDictionary(DenseUpdates.Input, node => filled.Contains(node)
            ? OrtValue.CreateTensorValueFromMemory(DenseUpdate.Of(patch, node), [node.Inputs, node.Outputs])
            : zeros.View(0, node.Inputs, node.Outputs)));
    }

    public void Dispose() => session.Dispose();
}
