namespace ProxyTune.Trainer.Training;

/// <summary>A low-rank update's shape.</summary>
/// <param name="Rank">1 or more.</param>
/// <param name="Alpha">The update is scaled by Alpha / Rank.</param>
/// <param name="Targets">Any of q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj.</param>
public sealed record LoraSettings(int Rank, double Alpha, IReadOnlyList<string> Targets)
{
    public double Scale => Alpha / Rank;
}
