using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Recipes;

/// <summary>The settings of the recipe <c>prt</c>.</summary>
/// <param name="Expert">The model that becomes the reward r, and its data, as for <c>sft</c>. It is served with weight 1.</param>
/// <param name="Base">The checkpoint folder of the large model M that the reward will steer.</param>
/// <param name="BaseTemplate">The template of conversations for M: chat, plain or a .jinja file.</param>
/// <param name="CacheMegabytes">The largest memory for the cached rows of one data source. There is one row per answer token, and two in examples with <c>keep</c>.</param>
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
