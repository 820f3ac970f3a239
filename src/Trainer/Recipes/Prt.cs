using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Recipes;

/// <summary>
/// Portable reward tuning (PRT, ICML 2025). The loss is the cross-entropy of log softmax(s_M) + r, with r the output of the expert, which
/// starts as the small pre-trained model. Serving needs no anti-expert. The code uses s_M for log softmax(s_M), since a constant per row does not
/// change the softmax.
/// </summary>
public static class Prt
{
    /// <inheritdoc cref="Sft.Run"/>
    public static void Run(PrtSettings settings, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(settings);
        SftSettings tuning = settings.Expert;
        PrtSettings identity = settings with { CacheMegabytes = 0, Expert = tuning with { Threads = 0, CheckpointEvery = 0 } };
        new FusedTuning(tuning, new("base", settings.Base, settings.BaseTemplate, 1), [], alpha: 1, settings.CacheMegabytes)
            .Run("prt", SettingsFile.ToNode(identity), cancellation);
    }
}
