using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Evaluation;

/// <summary>How many answers were right to the letter.</summary>
internal readonly record struct Score(int Right, int Total)
{
    public double Share => (double)Right / Total;

    public static Score Of(IReadOnlyList<Example> examples, IReadOnlyList<string> answers) =>
        new(examples.Zip(answers).Count(pair => pair.First.Answer == pair.Second), examples.Count);

    /// <summary>(fused - base) / (direct - base): the share of what tuning the base itself gains. Never a ratio of scores.</summary>
    public static double GapRecovered(double fused, double @base, double direct) => (fused - @base) / (direct - @base);
}
