using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>That a patch was found to be right on a base, and what the base said with it, so that later loads need no reference.</summary>
/// <param name="Patch"><see cref="PatchSum.Hash"/>.</param>
/// <param name="Base"><see cref="Models.ModelInfo.Hash"/> of the model.</param>
/// <param name="Tokens">The prompt.</param>
/// <param name="Logits">Of the last position with the patch, at most <see cref="MaxLogits"/> of them, evenly spaced over the vocabulary.</param>
/// <param name="Difference">From the reference, at most, over max(1, the largest logit's magnitude).</param>
internal sealed record ProbeRecord(string Patch, string Base, IReadOnlyList<int> Tokens, float[] Logits, double Difference)
{
    /// <summary>An error in any layer moves every logit; a sample keeps thousands of records small.</summary>
    public const int MaxLogits = 256;

    public static float[] Sample(float[] row)
    {
        int step = (row.Length + MaxLogits - 1) / MaxLogits;
        return [.. row.Where((_, i) => i % step == 0)];
    }
}
