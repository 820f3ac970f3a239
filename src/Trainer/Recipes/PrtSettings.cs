using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Recipes;

/// <summary>What <c>prt</c> runs with.</summary>
/// <param name="Expert">The model that becomes the reward r and its data, as for <c>sft</c>; its weight when served is 1.</param>
/// <param name="Base">Checkpoint folder of the large model M that the reward will steer.</param>
/// <param name="BaseTemplate">How M sees the conversation: chat, plain or a .jinja file.</param>
/// <param name="CacheMegabytes">Most memory for the cached rows of one data source: one per answer token, two of examples to be kept.</param>
public sealed record PrtSettings(
    SftSettings Expert,
    string Base,
    string BaseTemplate = PromptFormat.Chat,
    int CacheMegabytes = FusedTuning.DefaultMegabytes) : IRunSettings
{
    public void Check(SettingsCheck check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.NotEmpty("base", Base);
        check.Range("cache_megabytes", CacheMegabytes, 1, 1 << 20);
        Expert.Check(new SettingsCheck($"{check.File}: expert"));
    }
}
