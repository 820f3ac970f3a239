namespace ProxyTune.Trainer.Settings;

/// <summary>The settings of AdamW and of the learning rate over the run.</summary>
/// <param name="LearningRate">The peak learning rate.</param>
/// <param name="Schedule">The learning rate after the warm-up: <c>cosine</c>, <c>linear</c> or <c>constant</c>.</param>
/// <param name="FinalRatio">The last learning rate divided by the peak.</param>
/// <param name="WeightDecay">The weight decay of matrices; vectors do not decay.</param>
/// <param name="ClipNorm">The largest norm of the gradient; 0 sets no limit.</param>
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
    /// <param name="step">The step, counted from 0.</param>
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
