using ProxyTune.Trainer.Data;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace ProxyTune.Trainer.Training;

/// <summary>The losses of answer tokens: cross-entropy for answers to learn, change for answers that tuning shall not change.</summary>
internal static class AnswerLoss
{
    /// <summary>Logits rows of the answer tokens, example by example: [answer tokens, vocabulary].</summary>
    public static Tensor Logits(LlamaModel model, LoraAdapter? lora, AnswerBatch batch) =>
        model.Logits(model.Hidden(batch.Inputs, lora).index_select(0, batch.Rows));

    /// <summary>
    /// The sum over answer tokens of -log softmax(c + alpha s)[target]. With c = s_M - alpha s_anti this is consistent proxy-tuning, with c = s_M and alpha 1
    /// portable reward tuning, without c and at alpha 1 supervised fine-tuning.
    /// </summary>
    /// <param name="logits">s: [answer tokens, vocabulary].</param>
    /// <param name="constant">c: [answer tokens, vocabulary], or null.</param>
    public static Tensor Sum(Tensor logits, Tensor targets, Tensor? constant = null, double alpha = 1) =>
        functional.cross_entropy(Row(logits, constant, alpha), targets, reduction: Reduction.Sum);

    /// <summary>
    /// The effect of a change d = c + alpha s of rows: the sum over answer tokens of log E_w[exp d] - E_w[d], which is KL(w, w exp(d) / Z). It is 0
    /// if d is the same for all tokens of the vocabulary.
    /// </summary>
    /// <param name="logWeights">log w: [answer tokens, vocabulary], see <see cref="KeepWeights"/>.</param>
    public static Tensor Change(Tensor logits, Tensor logWeights, Tensor? constant = null, double alpha = 1)
    {
        Tensor change = Row(logits, constant, alpha);
        return ((logWeights + change).logsumexp(1) - (logWeights.exp() * change).sum(1)).sum();
    }

    /// <summary>
    /// log w, with half of w being the softmax of a row and half being on the answer's token. It stands for a row that another expert has moved towards
    /// this answer.
    /// </summary>
    /// <param name="before">The rows before the change: [answer tokens, vocabulary].</param>
    public static Tensor KeepWeights(Tensor before, int[] answer)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor half = full(answer.Length, 1, 0.5f);
        return (before.softmax(1) * half).scatter_add(1, tensor(answer, ScalarType.Int64).unsqueeze(1), half).log().MoveToOuterDisposeScope();
    }

    private static Tensor Row(Tensor logits, Tensor? constant, double alpha) => constant is null ? alpha * logits : constant + alpha * logits;
}
