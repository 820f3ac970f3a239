using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>All that is measured of ported patches.</summary>
internal sealed record PortabilityQuality(GenerationQuality[] Generations, Costs Costs);

/// <summary>Patches on the base of one generation.</summary>
/// <param name="Drift">How far its weights have moved from generation 0's.</param>
internal sealed record GenerationQuality(int Generation, BaseDrift Drift, BehaviourPortability[] Behaviours)
{
    /// <summary>The mean over behaviours of the gap that the ported patches recover over that which the re-trained ones do, one for each seed.</summary>
    public double[] Ratios(string profile) =>
        [.. Enumerable.Range(0, Behaviours[0].Held.Profiles[profile].Ported.Length).Select(seed => Behaviours.Average(b => b.Held.Gap(profile, ported: true)[seed]) / Behaviours.Average(b => b.Held.Gap(profile, ported: false)[seed]))];
}

/// <param name="Held">Over all held-out people, with the facts of the generation.</param>
/// <param name="News">Over those of them of whom the generation says something new.</param>
/// <param name="Outdated">What the patches score on the news with the base of generation 0, by profile.</param>
internal sealed record BehaviourPortability(string Behaviour, TaskPortability Held, TaskPortability? News, IReadOnlyDictionary<string, double>? Outdated);

/// <summary>Shares of answers that are right to the letter.</summary>
/// <param name="Base">The generation's base without a patch.</param>
/// <param name="Direct">All of its weights tuned.</param>
/// <param name="Profiles">By the patch's profile.</param>
internal sealed record TaskPortability(int Questions, double Base, double Direct, IReadOnlyDictionary<string, PatchScores> Profiles)
{
    /// <summary>The gap recovered, one for each seed.</summary>
    public double[] Gap(string profile, bool ported) =>
        [.. (ported ? Profiles[profile].Ported : Profiles[profile].Retrained).Select(score => Score.GapRecovered(score, Base, Direct))];
}

/// <summary>One score for each seed.</summary>
/// <param name="Ported">Trained on generation 0, used as it is.</param>
/// <param name="Retrained">Trained on this generation.</param>
internal sealed record PatchScores(double[] Ported, double[] Retrained);

/// <summary>The norm of what changed over the norm of what was, of all weights of a kind.</summary>
internal sealed record BaseDrift(double Attention, double FeedForward, double Embedding);
