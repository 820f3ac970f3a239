using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Recipes;

/// <summary>What <c>cpt</c> runs with.</summary>
/// <param name="Expert">The model that is tuned and its data, as for <c>sft</c>.</param>
/// <param name="Base">Checkpoint folder of the large model M that the expert will steer.</param>
/// <param name="AntiExpert">Checkpoint folder; absent: the expert's init.</param>
/// <param name="Alpha">The weight a that will be served.</param>
/// <param name="BaseTemplate">How M sees the conversation: chat, plain or a .jinja file.</param>
/// <param name="CacheMegabytes">Most memory for the cached rows of one data source: one per answer token, two of examples to be kept.</param>
public sealed record CptSettings(
    SftSettings Expert,
    string Base,
    string? AntiExpert = null,
    double Alpha = 1,
    string BaseTemplate = PromptFormat.Chat,
    string AntiExpertTemplate = PromptFormat.Chat,
    int CacheMegabytes = FusedTuning.DefaultMegabytes) : IRunSettings
{
    public void Check(SettingsCheck check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.NotEmpty("base", Base);
        check.Range("alpha", Alpha, 0.01, 10);
        check.Range("cache_megabytes", CacheMegabytes, 1, 1 << 20);
        Expert.Check(new SettingsCheck($"{check.File}: expert"));
    }
}
