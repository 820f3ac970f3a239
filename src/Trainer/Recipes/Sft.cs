using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Supervised fine-tuning: cross-entropy on answer tokens, of all weights or of a low-rank update.</summary>
public static class Sft
{
    /// <summary>Runs, resumes, or finds the finished output of the same settings and does nothing.</summary>
    /// <exception cref="TrainingException">Settings or files are wrong, or the loss is not a number.</exception>
    /// <exception cref="OperationCanceledException">Interrupted after a checkpoint.</exception>
    public static void Run(SftSettings settings, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(settings);
        if (!OutputFolder.Open(settings.Output, "sft", SettingsFile.ToNode(settings with { Threads = 0, CheckpointEvery = 0 })))
        {
            return;
        }

        Threading.Use(settings.Threads);
        using var expert = Expert.Start(settings);
        var training = expert.Encode(settings.Data);
        var validation = settings.Validation is null ? null : expert.Encode(settings.Validation);
        expert.Train("sft", training, validation, new Objective((logits, targets, _) => AnswerLoss.Sum(logits, targets)), cancellation);
        OutputFolder.Finish(settings.Output, expert.Save);
    }
}
