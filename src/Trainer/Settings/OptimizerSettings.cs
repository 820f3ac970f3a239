namespace ProxyTune.Trainer.Settings;

/// <summary>AdamW and its learning rate over the run.</summary>
/// <param name="LearningRate">The peak.</param>
/// <param name="Schedule">After the warm-up: <c>cosine</c>, <c>linear</c> or <c>constant</c>.</param>
/// <param name="FinalRatio">Last learning rate over the peak.</param>
/// <param name="WeightDecay">On matrices only.</param>
/// <param name="ClipNorm">Largest norm of the gradient; 0 for no limit.</param>
public sealed record OptimizerSettings(
    double LearningRate,
    int WarmupSteps = 0,
    string Schedule = "linear",
    double FinalRatio = 0,
    double WeightDecay = 0,
    double Beta1 = 0.9,
    double Beta2 = 0.95,
    double ClipNorm = 1)
{
    /// <param name="step">From 0.</param>
    public double RateAt(long step, long steps)
    {
        if (step < WarmupSteps)
        {
            return LearningRate * (step + 1) / WarmupSteps;
        }

        double progress = (double)(step - WarmupSteps) / Math.Max(1, steps - WarmupSteps);
        double share = Schedule switch
        {
            "cosine" => 0.5 * (1 + Math.Cos(Math.PI * progress)),
            "linear" => 1 - progress,
            _ => 1,
        };
        return LearningRate * (FinalRatio + (1 - FinalRatio) * share);
    }

    public void Check(SettingsCheck check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.Range("optimizer.learning_rate", LearningRate, 1e-8, 10);
        check.Range("optimizer.warmup_steps", WarmupSteps, 0, int.MaxValue);
        check.OneOf("optimizer.schedule", Schedule, "cosine", "linear", "constant");
        check.Range("optimizer.final_ratio", FinalRatio, 0, 1);
        check.Range("optimizer.weight_decay", WeightDecay, 0, 10);
        check.Range("optimizer.beta1", Beta1, 0, 0.9999);
        check.Range("optimizer.beta2", Beta2, 0, 0.99999);
        check.Range("optimizer.clip_norm", ClipNorm, 0, 1e6);
    }
}
