using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Supervised fine-tuning: cross-entropy on answer tokens, of all weights or of a low-rank update.</summary>
public static class Sft
{
    /// <summary>Runs or resumes. It does nothing if the output of the same settings is finished.</summary>
    /// <exception cref="TrainingException">Settings or files are wrong, or the loss is not a number.</exception>
    /// <exception cref="OperationCanceledException">Interrupted after a checkpoint.</exception>
    public static void Run(SftSettings settings, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(settings);
        // The steered model is the tuned model before tuning: s_init + (s - s_init). Terms that cancel are not computed.
        FrozenMember before = new("init", settings.Init, settings.Template, 1);
        new FusedTuning(settings, before, [before with { Weight = -1 }], alpha: 1, FusedTuning.DefaultMegabytes)
            .Run("sft", SettingsFile.ToNode(settings with { Threads = 0, CheckpointEvery = 0 }), cancellation);
    }
}
