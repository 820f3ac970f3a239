using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Training;

/// <summary>The shape of a low-rank update.</summary>
/// <param name="Rank">1 or more.</param>
/// <param name="Alpha">The update is scaled by Alpha / Rank.</param>
/// <param name="Targets">Any of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj; absent: all.</param>
public sealed record LoraSettings(int Rank, double Alpha, IReadOnlyList<string>? Targets = null)
{
    /// <summary>The names of the projections that can be targets.</summary>
    public static IReadOnlyList<string> AllTargets { get; } = [.. LoraTargets.All.Select(DecoderTensors.Projection)];

    internal double Scale => Alpha / Rank;

    internal IReadOnlyList<string> ChosenTargets => Targets ?? AllTargets;

    public void Check(SettingsCheck check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.Range("lora.rank", Rank, 1, 4096);
        check.Range("lora.alpha", Alpha, 1e-6, 1e6);
        check.Holds(ChosenTargets.Count > 0, "lora.targets", "empty", "one or more of " + string.Join(", ", AllTargets));
        foreach (string target in ChosenTargets)
        {
            check.OneOf("lora.targets", target, AllTargets);
        }
    }
}
