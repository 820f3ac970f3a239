using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Computes the logits rows of frozen models at the answer tokens of one data source.</summary>
internal sealed class FrozenRows(string source, AnswerTokens[] examples, SftSettings tuning, DecoderSpec expert, CancellationToken cancellation)
{
    /// <param name="keep">The rows are computed for examples with this value of <c>keep</c>.</param>
    /// <returns>sum_k w_k s_k per example, [answer tokens, vocabulary]; null for the other examples, and for all examples if the sum is empty.</returns>
    public Tensor?[] Sum(FrozenMember[] members, bool keep)
    {
        using IDisposable frozen = no_grad();
        Tensor?[] rows = new Tensor?[examples.Length];
        if (examples.Any(example => example.Keep == keep))
        {
            foreach (FrozenMember member in members)
            {
                Add(rows, member, keep);
            }
        }

        return rows;
    }

    private void Add(Tensor?[] rows, FrozenMember member, bool keep)
    {
        using LlamaModel model = ModelFolder.Load(member.Folder, trainable: false);
        if (model.Spec.VocabularySize != expert.VocabularySize)
        {
            throw new TrainingException($"{member.Role} '{member.Folder}' has a vocabulary of {model.Spec.VocabularySize}; accepted is the expert's, {expert.VocabularySize}.");
        }

        AnswerTokens[] seen = Expert.Encode(source, member.Folder, member.Template, tuning.EndOfAnswer, model.Spec);
        if (examples.Zip(seen).Index().FirstOrDefault(pair => !pair.Item.First.Answer.SequenceEqual(pair.Item.Second.Answer)) is { Item.First: not null } differs)
        {
            throw new TrainingException($"data '{source}', example {differs.Index}: the expert and {member.Role} '{member.Folder}' encode the answer differently; accepted are models with the same tokenizer.");
        }

        int[] byLength = Enumerable.Range(0, seen.Length).Where(i => seen[i].Keep == keep).OrderBy(i => seen[i].Length).ThenBy(i => i).ToArray();
        foreach (int[] some in Expert.Pieces(seen, byLength, tuning.MicroBatchTokens))
        {
            cancellation.ThrowIfCancellationRequested();
            using DisposeScope scope = NewDisposeScope();
            Tensor logits = AnswerLoss.Logits(model, null, AnswerBatch.Of([.. some.Select(i => seen[i])])) * member.Weight;
            foreach ((int i, Tensor? part) in some.Zip(logits.split([.. some.Select(i => (long)seen[i].Answer.Length)])))
            {
                rows[i] = rows[i]?.add_(part) ?? part.clone().DetachFromDisposeScope();
            }
        }
    }
}
