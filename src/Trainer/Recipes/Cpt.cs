using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Consistent proxy-tuning: the loss is the cross-entropy of s_M + a (s_expert - s_anti), with gradients in the expert only.</summary>
public static class Cpt
{
    /// <inheritdoc cref="Sft.Run"/>
    public static void Run(CptSettings settings, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(settings);
        var tuning = settings.Expert;
        var large = new FrozenMember("base", settings.Base, settings.BaseTemplate, 1);
        var anti = new FrozenMember("anti_expert", settings.AntiExpert ?? tuning.Init, settings.AntiExpertTemplate, -settings.Alpha);
        var identity = settings with { CacheMegabytes = 0, Expert = tuning with { Threads = 0, CheckpointEvery = 0 } };
        new FusedTuning(tuning, large, [anti], settings.Alpha, settings.CacheMegabytes).Run("cpt", SettingsFile.ToNode(identity), cancellation);
    }
}
