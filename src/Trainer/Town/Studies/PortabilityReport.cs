using System.Text;
using static ProxyTune.Trainer.Town.QualityReport;

namespace ProxyTune.Trainer.Town;

/// <summary>Writes the results of the portability experiment as tables of docs/quality.md.</summary>
internal static class PortabilityReport
{
    /// <summary>The name of the document's part.</summary>
    public const string Name = "portability";

    public static string Markdown(PortabilityQuality quality)
    {
        StringBuilder text = new();
        foreach (GenerationQuality generation in quality.Generations)
        {
            Generation(text, generation);
        }

        Ratios(text, quality);
        News(text, quality);
        Cost(text, quality.Costs);
        return text.ToString();
    }

    private static void Generation(StringBuilder text, GenerationQuality quality)
    {
        bool evolved = quality.Generation > 0;
        Line(text, $"### {(evolved ? $"Generation {quality.Generation}" : "Generation 0, on which the patches were trained")}");
        Line(text, $"");
        if (evolved)
        {
            Line(text, $"Of the norm of its weights the base has moved by {quality.Drift.Attention:P1} in attention, {quality.Drift.FeedForward:P1} in the feed-forward layers and {quality.Drift.Embedding:P1} in the embedding.");
            Line(text, $"");
        }

        Line(text, $"| behaviour | questions | base | full fine-tuning | profile | {(evolved ? "ported patch | re-trained LoRA | gap: ported | gap: re-trained" : "patch | gap")} |");
        Line(text, $"|---|---|---|---|---|---|---|{(evolved ? "---|---|" : "")}");
        foreach ((BehaviourPortability? behaviour, string? profile) in from b in quality.Behaviours from p in PortabilityPlan.Profiles select (b, p.Name))
        {
            (TaskPortability? held, PatchScores? scores) = (behaviour.Held, behaviour.Held.Profiles[profile]);
            string measured = evolved
                ? $"{Spread(scores.Ported)} | {Spread(scores.Retrained)} | **{Spread(held.Gap(profile, ported: true))}** | {Spread(held.Gap(profile, ported: false))}"
                : $"{Spread(scores.Ported)} | {Spread(held.Gap(profile, ported: true))}";
            Line(text, $"| `{behaviour.Behaviour}` | {held.Questions} | {held.Base:P1} | {held.Direct:P1} | {profile} | {measured} |");
        }

        Line(text, $"");
        if (quality.Generation <= 1)
        {
            CommittedReport.Place(text, CommittedReport.Generation(quality.Generation));
        }
        else
        {
            Line(text, $"The share of degenerate answers was not measured, because no model of this generation is committed.");
            Line(text, $"");
        }
    }

    private static void Ratios(StringBuilder text, PortabilityQuality quality)
    {
        Line(text, $"### Gap recovered by ported patches over that of re-trained ones, mean over the behaviours");
        Line(text, $"");
        Line(text, $"| profile | {string.Join(" | ", quality.Generations.Skip(1).Select(g => $"generation {g.Generation}"))} |");
        Line(text, $"|---|{string.Concat(quality.Generations.Skip(1).Select(_ => "---|"))}");
        foreach (PatchProfile profile in PortabilityPlan.Profiles)
        {
            Line(text, $"| {profile.Name} | {string.Join(" | ", quality.Generations.Skip(1).Select(g => $"**{Spread(g.Ratios(profile.Name))}**"))} |");
        }

        Line(text, $"");
    }

    private static void News(StringBuilder text, PortabilityQuality quality)
    {
        Line(text, $"### Questions about people with news alone");
        Line(text, $"");
        Line(text, $"| generation | behaviour | questions | profile | patch on generation 0 | ported patch | re-trained LoRA | full fine-tuning |");
        Line(text, $"|---|---|---|---|---|---|---|---|");
        foreach ((GenerationQuality? generation, BehaviourPortability? behaviour, string? profile) in from g in quality.Generations.Skip(1) from b in g.Behaviours from p in PortabilityPlan.Profiles select (g, b, p.Name))
        {
            (TaskPortability? news, PatchScores? scores) = (behaviour.News!, behaviour.News!.Profiles[profile]);
            Line(text, $"| {generation.Generation} | `{behaviour.Behaviour}` | {news.Questions} | {profile} | {behaviour.Outdated![profile]:P1} | {Spread(scores.Ported)} | {Spread(scores.Retrained)} | {news.Direct:P1} |");
        }

        Line(text, $"");
        CommittedReport.Place(text, CommittedReport.News);
    }

    private static void Cost(StringBuilder text, Costs costs)
    {
        Line(text, $"### What it takes");
        Line(text, $"");
        Line(text, $"| `qa`, all targets, generation 1 | peak of resident memory above the idle process | processor time |");
        Line(text, $"|---|---|---|");
        Line(text, $"| training the LoRA again | {costs.Retraining.Bytes / 1e6:F1} MB | {costs.Retraining.Seconds:F2} s |");
        Line(text, $"| porting it | {costs.Porting.Bytes / 1e6:F1} MB | {costs.Porting.Seconds:F2} s |");
        Line(text, $"| ratio | {(double)costs.Retraining.Bytes / costs.Porting.Bytes:F1} | {costs.Retraining.Seconds / costs.Porting.Seconds:F0} |");
        Line(text, $"");
    }
}
