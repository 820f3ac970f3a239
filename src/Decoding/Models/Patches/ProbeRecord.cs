using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>The record of a passed check of a patch on a base, with the logits. Later checks use it as their reference.</summary>
/// <param name="Patch"><see cref="PatchSum.Hash"/>.</param>
/// <param name="Base"><see cref="Models.ModelInfo.Hash"/> of the model.</param>
/// <param name="Tokens">The token ids of the prompt.</param>
/// <param name="Logits">The logits of the last position with the patch. At most <see cref="MaxLogits"/> of them are stored, evenly spaced over the vocabulary.</param>
/// <param name="Difference">The largest difference from the reference, divided by max(1, the largest logit's magnitude).</param>
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
