using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Recipes;

/// <summary>
/// Consistent proxy-tuning: the loss is the cross-entropy of what will be served, s_M + a (s_expert - s_anti), with gradients in the expert only.
/// s_M - a s_anti does not change, so it is computed once: one row per answer token.
/// </summary>
public static class Cpt
{
    /// <inheritdoc cref="Sft.Run"/>
    public static void Run(CptSettings settings, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(settings);
        var tuning = settings.Expert;
        var identity = settings with { CacheMegabytes = 0, Expert = tuning with { Threads = 0, CheckpointEvery = 0 } };
        if (!OutputFolder.Open(tuning.Output, "cpt", SettingsFile.ToNode(identity)))
        {
            return;
        }

        Threading.Use(tuning.Threads);
        using var expert = Expert.Start(tuning);
        var training = expert.Encode(tuning.Data);
        var validation = tuning.Validation is null ? null : expert.Encode(tuning.Validation);
        var rows = Rows(settings, tuning.Data, training, cancellation);
        var validationRows = tuning.Validation is null ? [] : Rows(settings, tuning.Validation, validation!, cancellation);
        expert.Train("cpt", training, validation, Loss, cancellation);
        OutputFolder.Finish(tuning.Output, expert.Save);

        Tensor Loss(Tensor logits, Tensor targets, Chosen examples)
        {
            var cached = cat([.. examples.Indices.Select(i => (examples.Validation ? validationRows : rows)[i])], 0);
            return AnswerLoss.Sum(logits, targets, cached, settings.Alpha);
        }
    }

    /// <summary>c = s_M - a s_anti per example: [answer tokens, vocabulary] each.</summary>
    private static Tensor[] Rows(CptSettings settings, string source, AnswerTokens[] expert, CancellationToken cancellation)
    {
        var antiExpert = settings.AntiExpert ?? settings.Expert.Init;
        using var large = ModelFolder.Load(settings.Base, trainable: false);
        using var anti = ModelFolder.Load(antiExpert, trainable: false);
        if (large.Config.VocabSize != anti.Config.VocabSize)
        {
            throw new TrainingException($"base '{settings.Base}' has a vocabulary of {large.Config.VocabSize}, anti_expert '{antiExpert}' of {anti.Config.VocabSize}; accepted are equal ones.");
        }

        var megabytes = expert.Sum(example => (long)example.Answer.Length) * large.Config.VocabSize * sizeof(float) >> 20;
        if (megabytes > settings.CacheMegabytes)
        {
            throw new TrainingException($"cache_megabytes is {settings.CacheMegabytes}; the answers of '{source}' need {megabytes}.");
        }

        using var frozen = no_grad();
        var end = settings.Expert.EndOfAnswer;
        var ofLarge = Expert.Encode(source, settings.Base, settings.BaseTemplate, end, large.Config);
        var ofAnti = Expert.Encode(source, antiExpert, settings.AntiExpertTemplate, end, anti.Config);
        if (expert.Zip(ofLarge, ofAnti).Index().FirstOrDefault(e => !e.Item.First.Answer.SequenceEqual(e.Item.Second.Answer) || !e.Item.First.Answer.SequenceEqual(e.Item.Third.Answer)) is { Item.First: not null } differs)
        {
            throw new TrainingException($"data '{source}', example {differs.Index}: expert, base and anti-expert encode the answer differently; accepted are models with one tokenizer.");
        }

        var rows = new Tensor[expert.Length];
        var byLength = Enumerable.Range(0, expert.Length).OrderBy(i => ofLarge[i].Length).ThenBy(i => i).ToArray();
        foreach (var some in Expert.Pieces(ofLarge, byLength, settings.Expert.MicroBatchTokens))
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var (m, a) = (AnswerBatch.Of([.. some.Select(i => ofLarge[i])]), AnswerBatch.Of([.. some.Select(i => ofAnti[i])]));
            var fused = AnswerLoss.Logits(large, null, m) - settings.Alpha * AnswerLoss.Logits(anti, null, a);
            var parts = fused.split([.. some.Select(i => (long)expert[i].Answer.Length)]);
            foreach (var (i, part) in some.Zip(parts))
            {
                rows[i] = part.clone().DetachFromDisposeScope();
            }
        }

        return rows;
    }
}
