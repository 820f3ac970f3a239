using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Recipes;

/// <summary>The settings of the recipe <c>cpt</c>.</summary>
/// <param name="Expert">The tuned model and its data, as for <c>sft</c>.</param>
/// <param name="Base">The checkpoint folder of the large model M that the expert will steer.</param>
/// <param name="AntiExpert">The checkpoint folder of the anti-expert; the expert's init by default.</param>
/// <param name="Alpha">The weight a of the expert when it is served, from 0.01 to 10.</param>
/// <param name="BaseTemplate">The template of conversations for M: chat, plain or a .jinja file.</param>
/// <param name="AntiExpertTemplate">The template of conversations for the anti-expert.</param>
/// <param name="CacheMegabytes">The largest memory for the cached rows of one data source. There is one row per answer token, and two in examples with <c>keep</c>.</param>
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
