using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>What a base with a retain and a forget model still knows of a person, and of others.</summary>
/// <param name="Person">The name.</param>
internal sealed record ForgettingQuality(string Person, ForgettingRow[] Rows);

/// <param name="Name">What answered.</param>
/// <param name="Forgotten">About the person.</param>
/// <param name="Kept">About the others of the held-out half.</param>
internal sealed record ForgettingRow(string Name, Knowledge Forgotten, Knowledge Kept);

/// <summary>What answers and texts show of some people.</summary>
/// <param name="Scores">One for each of <see cref="ForgettingPlan.Behaviours"/>.</param>
/// <param name="Probability">Of the right answer, mean over questions of all behaviours.</param>
/// <param name="Perplexity">Of prose about the people that no model was trained on; infinite where a token of it is banned.</param>
internal sealed record Knowledge(Score[] Scores, double Probability, double Perplexity)
{
    public double DegenerateShare => (double)Scores.Sum(score => score.Degenerate) / Scores.Sum(score => score.Total);
}
