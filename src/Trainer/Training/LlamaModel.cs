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

    /// <param name="trainable">Whether backward passes fill <see cref="ParameterSet.Gradients"/>; false for frozen members and for the base of a LoRA run.</param>
    public LlamaModel(LlamaConfig config, bool trainable)
    {
        Config = config;
        Parameters = new ParameterSet(LlamaLayout.Tensors(config));
        embedding = Parameters.Leaf(LlamaLayout.Embedding, trainable);
        head = config.TieWordEmbeddings ? embedding : Parameters.Leaf(LlamaLayout.Head, trainable);
        finalNorm = Parameters.Leaf(LlamaLayout.FinalNorm, trainable);
        rotary = new Rotary(config.MaxPositionEmbeddings, config.HeadSize, config.RopeTheta);
        layers = [.. Enumerable.Range(0, config.NumHiddenLayers).Select(i => new LlamaLayer(config, Parameters, i, trainable, rotary))];
    }

    public LlamaConfig Config { get; }

    public ParameterSet Parameters { get; }

    /// <summary>The last layer's normalised output.</summary>
    /// <param name="ids">[batch, positions] of int64, each row from position 0; rows may be padded on the right with any id.</param>
    /// <param name="lora">Added to the projections it targets, or null.</param>
    /// <returns>[batch * positions, hidden]</returns>
    public Tensor Hidden(Tensor ids, LoraAdapter? lora = null)
    {
        (long batch, long positions) = (ids.shape[0], ids.shape[1]);
        if (positions > Config.MaxPositionEmbeddings)
        {
            throw new ArgumentException($"{positions} positions; the model has {Config.MaxPositionEmbeddings}.", nameof(ids));
        }

        Tensor x = embedding.index_select(0, ids.flatten());
        foreach (LlamaLayer layer in layers)
        {
            x = layer.Forward(x, batch, positions, lora);
        }

        return LlamaLayer.Norm(x, finalNorm, Config.RmsNormEps);
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
