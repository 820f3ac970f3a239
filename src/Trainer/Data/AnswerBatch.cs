using static TorchSharp.torch;

namespace ProxyTune.Trainer.Data;

/// <summary>A batch of examples, padded on the right, with the positions of their answers.</summary>
/// <param name="Inputs">[examples, longest] of int64: token ids.</param>
/// <param name="Rows">[answer tokens] of int64: the rows of the flattened [examples * longest] that predict answer tokens, example by example.</param>
/// <param name="Targets">[answer tokens] of int64: the answer tokens that these rows predict.</param>
internal readonly record struct AnswerBatch(Tensor Inputs, Tensor Rows, Tensor Targets)
{
    /// <returns>Tensors of the caller's dispose scope.</returns>
    public static AnswerBatch Of(IReadOnlyList<AnswerTokens> examples)
    {
        int width = examples.Max(example => example.Length);
        long[] inputs = new long[examples.Count * width];
        (List<long>? rows, List<long>? targets) = (new List<long>(), new List<long>());
        foreach ((int index, AnswerTokens? example) in examples.Index())
        {
            int offset = index * width;
            int position = 0;
            foreach (int id in example.Prompt.Concat(example.Answer.SkipLast(1)))
            {
                inputs[offset + position++] = id;
            }

            foreach ((int i, int id) in example.Answer.Index())
            {
                rows.Add(offset + example.Prompt.Length - 1 + i);
                targets.Add(id);
            }
        }

        return new(tensor(inputs, [examples.Count, width]), tensor(rows.ToArray()), tensor(targets.ToArray()));
    }
}
