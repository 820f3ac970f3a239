using System.Text.Json.Nodes;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Recipes;

/// <summary>
/// Tunes an expert for the fused row s + d with d = alpha s_expert + sum_k w_k s_k. Only the expert has gradients. The loss is the cross-entropy of
/// that row; in examples with <c>keep</c> it is the effect of d on s. The rows of frozen models are computed once, one or two per answer token.
/// </summary>
/// <param name="tuning">The expert and its data.</param>
/// <param name="steered">The model of s.</param>
/// <param name="others">The other frozen members of d.</param>
/// <param name="alpha">The weight of the expert.</param>
/// <param name="cacheMegabytes">The largest memory for the frozen rows of one data source.</param>
internal sealed class FusedTuning(SftSettings tuning, FrozenMember steered, FrozenMember[] others, double alpha, int cacheMegabytes)
{
    public const int DefaultMegabytes = 4000;

    private readonly FrozenMember[] learned = FrozenMember.Simplify([steered, .. others]);

    /// <param name="identity">The settings that identify the run. An output folder belongs to one identity.</param>
    public void Run(string recipe, JsonNode identity, CancellationToken cancellation)
    {
        if (!OutputFolder.Open(tuning.Output, recipe, identity))
        {
            return;
        }

        Threading.Use(tuning.Threads);
        using Expert expert = Expert.Start(tuning);
        AnswerTokens[] training = expert.Encode(tuning.Data);
        AnswerTokens[]? validation = tuning.Validation is null ? null : expert.Encode(tuning.Validation);
        (Tensor? Constant, Tensor? LogWeights)[] rows = Rows(tuning.Data, training);
        (Tensor? Constant, Tensor? LogWeights)[] validationRows = validation is null ? [] : Rows(tuning.Validation!, validation);
        expert.Train(recipe, training, validation, Loss, cancellation);
        OutputFolder.Finish(tuning.Output, expert.Save);

        (Tensor? Constant, Tensor? LogWeights)[] Rows(string source, AnswerTokens[] examples)
        {
            CheckMemory(source, examples, expert.Spec.VocabularySize);
            FrozenRows frozen = new(source, examples, tuning, expert.Spec, cancellation);
            (Tensor?[]? learned, Tensor?[]? kept, Tensor?[]? before) = (frozen.Sum(this.learned, keep: false), frozen.Sum(others, keep: true), frozen.Sum([steered], keep: true));
            return [.. examples.Select((example, i) => (learned[i] ?? kept[i], before[i] is { } row ? AnswerLoss.KeepWeights(row, example.Answer) : null))];
        }

        Tensor Loss(Tensor logits, Tensor targets, Chosen examples)
        {
            (Tensor? Constant, Tensor? LogWeights)[] cached = examples.Indices.Select(i => (examples.Validation ? validationRows : rows)[i]).ToArray();
            Tensor? constant = cached[0].Constant is null ? null : cat([.. cached.Select(c => c.Constant!)], 0);
            return cached[0].LogWeights is null
                ? AnswerLoss.Sum(logits, targets, constant, alpha)
                : AnswerLoss.Change(logits, cat([.. cached.Select(c => c.LogWeights!)], 0), constant, alpha);
        }
    }

    private void CheckMemory(string source, AnswerTokens[] examples, int vocabulary)
    {
        long rows = examples.Sum(example => (long)example.Answer.Length * (example.Keep ? 1 + Math.Min(1, others.Length) : Math.Min(1, learned.Length)));
        long megabytes = rows * vocabulary * sizeof(float) >> 20;
        if (megabytes > cacheMegabytes)
        {
            throw new TrainingException($"cache_megabytes is {cacheMegabytes}; the answers of '{source}' need {megabytes}.");
        }
    }
}
