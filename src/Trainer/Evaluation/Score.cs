using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Evaluation;

/// <summary>Counts of right and degenerate answers.</summary>
/// <param name="Right">The number of answers that match the expected answer letter by letter.</param>
/// <param name="Total">The number of questions.</param>
/// <param name="Degenerate">The number of answers that loop or were truncated, see <see cref="Answer.IsDegenerate"/>.</param>
internal readonly record struct Score(int Right, int Total, int Degenerate)
{
    public double Share => (double)Right / Total;

    public double DegenerateShare => (double)Degenerate / Total;

    public static Score Of(IReadOnlyList<Example> examples, IReadOnlyList<Answer> answers) =>
        new(examples.Zip(answers).Count(pair => pair.First.Answer == pair.Second.Text), examples.Count, answers.Count(answer => answer.IsDegenerate));

    /// <summary>(fused - base) / (direct - base): the gain of fusion as a share of the gain of tuning the base itself. It is not a ratio of scores.</summary>
    public static double GapRecovered(double fused, double @base, double direct) => (fused - @base) / (direct - @base);
}
