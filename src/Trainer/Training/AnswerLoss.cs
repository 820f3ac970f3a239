using ProxyTune.Trainer.Data;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace ProxyTune.Trainer.Training;

/// <summary>Cross-entropy of answer tokens.</summary>
internal static class AnswerLoss
{
    /// <summary>Logits rows of the answer tokens, example by example: [answer tokens, vocabulary].</summary>
    public static Tensor Logits(LlamaModel model, LoraAdapter? lora, AnswerBatch batch) =>
        model.Logits(model.Hidden(batch.Inputs, lora).index_select(0, batch.Rows));

    /// <summary>
    /// The sum over answer tokens of -log softmax(c + alpha s)[target]. With c = s_M - alpha s_anti this is consistent proxy-tuning; without c and at alpha 1
    /// it is supervised fine-tuning.
    /// </summary>
    /// <param name="logits">s: [answer tokens, vocabulary].</param>
    /// <param name="offsets">c: [answer tokens, vocabulary], or null.</param>
    public static Tensor Sum(Tensor logits, Tensor targets, Tensor? offsets = null, double alpha = 1) =>
        functional.cross_entropy(offsets is null ? logits : offsets + alpha * logits, targets, reduction: Reduction.Sum);
}
