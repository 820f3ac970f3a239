using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Evaluation;

/// <summary>How many answers were right to the letter, and how many were broken as text.</summary>
/// <param name="Degenerate">Answers that loop or were truncated, see <see cref="Answer.IsDegenerate"/>.</param>
internal readonly record struct Score(int Right, int Total, int Degenerate)
{
    public double Share => (double)Right / Total;

    public double DegenerateShare => (double)Degenerate / Total;

    public static Score Of(IReadOnlyList<Example> examples, IReadOnlyList<Answer> answers) =>
        new(examples.Zip(answers).Count(pair => pair.First.Answer == pair.Second.Text), examples.Count, answers.Count(answer => answer.IsDegenerate));

    /// <summary>(fused - base) / (direct - base): the share of what tuning the base itself gains. Never a ratio of scores.</summary>
    public static double GapRecovered(double fused, double @base, double direct) => (fused - @base) / (direct - @base);
}
