using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Consistent proxy-tuning: the loss is the cross-entropy of s_M + a (s_expert - s_anti), and only the expert has gradients.</summary>
public static class Cpt
{
    /// <inheritdoc cref="Sft.Run"/>
    public static void Run(CptSettings settings, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(settings);
        SftSettings tuning = settings.Expert;
        FrozenMember large = new("base", settings.Base, settings.BaseTemplate, 1);
        FrozenMember anti = new("anti_expert", settings.AntiExpert ?? tuning.Init, settings.AntiExpertTemplate, -settings.Alpha);
        CptSettings identity = settings with { CacheMegabytes = 0, Expert = tuning with { Threads = 0, CheckpointEvery = 0 } };
        new FusedTuning(tuning, large, [anti], settings.Alpha, settings.CacheMegabytes).Run("cpt", SettingsFile.ToNode(identity), cancellation);
    }
}
