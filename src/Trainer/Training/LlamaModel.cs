using ProxyTune.Checkpoints.Architectures;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace ProxyTune.Trainer.Training;

/// <summary>
/// A Llama-family decoder (arXiv 2302.13971): RMSNorm before each block, rotary positions, grouped-query attention, SwiGLU, no biases.
/// Weights carry Hugging Face's names.
/// </summary>
/// <remarks>Not thread-safe. Tensors that a call returns belong to the caller's dispose scope.</remarks>
public sealed class LlamaModel : IDisposable
{
    private readonly Tensor embedding;
    private readonly Tensor head;
    private readonly Tensor finalNorm;
    private readonly LlamaLayer[] layers;
    private readonly Rotary rotary;

    /// <param name="trainable">True lets backward passes fill <see cref="ParameterSet.Gradients"/>; false is for frozen members and for the base of a LoRA run.</param>
    public LlamaModel(DecoderSpec spec, bool trainable)
    {
        Spec = spec;
        Parameters = new ParameterSet(DecoderTensors.InOrder(spec));
        embedding = Parameters.Leaf(DecoderTensors.Embedding, trainable);
        head = spec.TiedHead ? embedding : Parameters.Leaf(DecoderTensors.Head, trainable);
        finalNorm = Parameters.Leaf(DecoderTensors.FinalNorm, trainable);
        rotary = new Rotary(spec);
        layers = [.. Enumerable.Range(0, spec.Layers).Select(i => new LlamaLayer(spec, Parameters, i, trainable, rotary))];
    }

    public DecoderSpec Spec { get; }

    public ParameterSet Parameters { get; }

    /// <summary>The last layer's normalised output.</summary>
    /// <param name="ids">[batch, positions] of int64, each row from position 0; rows may be padded on the right with any id.</param>
    /// <param name="lora">Added to the projections it targets, or null.</param>
    /// <returns>[batch * positions, hidden]</returns>
    public Tensor Hidden(Tensor ids, LoraAdapter? lora = null)
    {
        (long batch, long positions) = (ids.shape[0], ids.shape[1]);
        if (positions > Spec.ContextLength)
        {
            throw new ArgumentException($"{positions} positions; the model has {Spec.ContextLength}.", nameof(ids));
        }

        Tensor x = embedding.index_select(0, ids.flatten());
        foreach (LlamaLayer layer in layers)
        {
            x = layer.Forward(x, batch, positions, lora);
        }

        return LlamaLayer.Norm(x, finalNorm, Spec.NormEpsilon);
    }

    /// <param name="hidden">[rows, hidden]</param>
    /// <returns>[rows, vocabulary]</returns>
    public Tensor Logits(Tensor hidden) => functional.linear(hidden, head);

    public void Dispose()
    {
        rotary.Dispose();
        Parameters.Dispose();
    }
}
