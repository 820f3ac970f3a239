using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>The results of the portability experiment.</summary>
internal sealed record PortabilityQuality(GenerationQuality[] Generations, Costs Costs);

/// <summary>The results of patches on the base of one generation.</summary>
/// <param name="Drift">The distance of the base's weights from those of generation 0.</param>
internal sealed record GenerationQuality(int Generation, BaseDrift Drift, BehaviourPortability[] Behaviours)
{
    /// <summary>For each seed, the mean gap recovered by ported patches divided by the mean gap recovered by re-trained patches. The means are over behaviours.</summary>
    public double[] Ratios(string profile) =>
        [.. Enumerable.Range(0, Behaviours[0].Held.Profiles[profile].Ported.Length).Select(seed => Behaviours.Average(b => b.Held.Gap(profile, ported: true)[seed]) / Behaviours.Average(b => b.Held.Gap(profile, ported: false)[seed]))];
}

/// <summary>The results of one behaviour on the base of one generation.</summary>
/// <param name="Held">The scores over all held-out people, with the facts of the generation.</param>
/// <param name="News">The scores over the held-out people with news in the generation; null for generation 0.</param>
/// <param name="Outdated">The scores on the news of patches on the base of generation 0, by profile; null for generation 0.</param>
internal sealed record BehaviourPortability(string Behaviour, TaskPortability Held, TaskPortability? News, IReadOnlyDictionary<string, double>? Outdated);

/// <summary>Shares of exact answers, from 0 to 1.</summary>
/// <param name="Questions">The number of questions.</param>
/// <param name="Base">The score of the generation's base without a patch.</param>
/// <param name="Direct">The score of the generation's base with all weights tuned.</param>
/// <param name="Profiles">The scores of the patches by profile.</param>
internal sealed record TaskPortability(int Questions, double Base, double Direct, IReadOnlyDictionary<string, PatchScores> Profiles)
{
    /// <summary>The gap recovered, one for each seed.</summary>
    public double[] Gap(string profile, bool ported) =>
        [.. (ported ? Profiles[profile].Ported : Profiles[profile].Retrained).Select(score => Score.GapRecovered(score, Base, Direct))];
}

/// <summary>The scores of patches, one for each seed.</summary>
/// <param name="Ported">The scores of the patches of generation 0, used unchanged.</param>
/// <param name="Retrained">The scores of patches that were trained on this generation.</param>
internal sealed record PatchScores(double[] Ported, double[] Retrained);

/// <summary>The norm of the change of the weights divided by the norm of the original weights, for each kind of weights.</summary>
internal sealed record BaseDrift(double Attention, double FeedForward, double Embedding);
