using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using Onnx;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>A prompt through a session of its own, to which a patch's update is given as dense matrices.</summary>
/// <param name="nodes">All that the patch changes.</param>
internal sealed class DenseProbe(DecoderGraph graph, ModelProto model, IReadOnlyList<LinearNode> nodes, PatchSum patch, IReadOnlyList<int> tokens) : IDisposable
{
    private readonly DecoderSession session = graph.Open(DenseUpdates.Of(model, nodes), isAlone: true);

    /// <param name="filled">Which nodes get the update; to the others zero is added.</param>
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
