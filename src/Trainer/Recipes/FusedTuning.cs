using System.Text.Json.Nodes;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Training;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Recipes;

/// <summary>A frozen model of the fused sum that an expert is tuned for.</summary>
/// <param name="Role">The settings' name of its folder.</param>
/// <param name="Folder">Its checkpoint.</param>
/// <param name="Template">How it sees a conversation.</param>
/// <param name="Weight">Its factor w.</param>
internal sealed record FrozenMember(string Role, string Folder, string Template, double Weight);

/// <summary>
/// Tunes an expert on the cross-entropy of what will be served, c + alpha s_expert, with gradients in the expert only. c = sum_k w_k s_k over
/// frozen members does not change, so it is computed once: one row per answer token.
/// </summary>
/// <param name="tuning">The expert and its data.</param>
/// <param name="members">What c is the sum of.</param>
/// <param name="cacheMegabytes">Most memory for the rows of one data source.</param>
internal sealed class FusedTuning(SftSettings tuning, IReadOnlyList<FrozenMember> members, double alpha, int cacheMegabytes)
{
    /// <param name="identity">The settings that make this run another than the one before.</param>
    public void Run(string recipe, JsonNode identity, CancellationToken cancellation)
    {
        if (!OutputFolder.Open(tuning.Output, recipe, identity))
        {
            return;
        }

        Threading.Use(tuning.Threads);
        using var expert = Expert.Start(tuning);
        var training = expert.Encode(tuning.Data);
        var validation = tuning.Validation is null ? null : expert.Encode(tuning.Validation);
        var rows = Rows(expert, tuning.Data, training, cancellation);
        var validationRows = tuning.Validation is null ? [] : Rows(expert, tuning.Validation, validation!, cancellation);
        expert.Train(recipe, training, validation, Loss, cancellation);
        OutputFolder.Finish(tuning.Output, expert.Save);

        Tensor Loss(Tensor logits, Tensor targets, Chosen examples)
        {
            var cached = cat([.. examples.Indices.Select(i => (examples.Validation ? validationRows : rows)[i])], 0);
            return AnswerLoss.Sum(logits, targets, cached, alpha);
        }
    }

    /// <summary>c per example: [answer tokens, vocabulary] each.</summary>
    private Tensor[] Rows(Expert expert, string source, AnswerTokens[] examples, CancellationToken cancellation)
    {
        var megabytes = examples.Sum(example => (long)example.Answer.Length) * expert.Config.VocabSize * sizeof(float) >> 20;
        if (megabytes > cacheMegabytes)
        {
            throw new TrainingException($"cache_megabytes is {cacheMegabytes}; the answers of '{source}' need {megabytes}.");
        }

        using var frozen = no_grad();
        var rows = examples.Select(example => zeros(example.Answer.Length, expert.Config.VocabSize)).ToArray();
        foreach (var member in members)
        {
            Add(rows, member, expert.Config, source, examples, cancellation);
        }

        return rows;
    }

    private void Add(Tensor[] rows, FrozenMember member, LlamaConfig expert, string source, AnswerTokens[] examples, CancellationToken cancellation)
    {
        using var model = ModelFolder.Load(member.Folder, trainable: false);
        if (model.Config.VocabSize != expert.VocabSize)
        {
            throw new TrainingException($"{member.Role} '{member.Folder}' has a vocabulary of {model.Config.VocabSize}; accepted is the expert's, {expert.VocabSize}.");
        }

        var seen = Expert.Encode(source, member.Folder, member.Template, tuning.EndOfAnswer, model.Config);
        if (examples.Zip(seen).Index().FirstOrDefault(pair => !pair.Item.First.Answer.SequenceEqual(pair.Item.Second.Answer)) is { Item.First: not null } differs)
        {
            throw new TrainingException($"data '{source}', example {differs.Index}: the expert and {member.Role} '{member.Folder}' encode the answer differently; accepted are models with one tokenizer.");
        }

        var byLength = Enumerable.Range(0, seen.Length).OrderBy(i => seen[i].Length).ThenBy(i => i).ToArray();
        foreach (var some in Expert.Pieces(seen, byLength, tuning.MicroBatchTokens))
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var logits = AnswerLoss.Logits(model, null, AnswerBatch.Of([.. some.Select(i => seen[i])]));
            foreach (var (i, part) in some.Zip(logits.split([.. some.Select(i => (long)seen[i].Answer.Length)])))
            {
                rows[i].add_(part, alpha: member.Weight);
            }
        }
    }
}
