using System.Text.Json.Nodes;
using ProxyTune.Trainer.Reporting;
using ProxyTune.Trainer.Settings;
using TorchSharp;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Training;

/// <summary>The result of one step.</summary>
/// <param name="Loss">The mean over the step's trained tokens; a scalar without a gradient.</param>
/// <param name="Tokens">The number of tokens that went through the model.</param>
internal readonly record struct StepResult(Tensor Loss, long Tokens);

/// <summary>The loop that all recipes share: steps, learning rate, metrics, checkpoints, exact resume, interruption.</summary>
internal sealed class TrainingLoop
{
    public required string Title { get; init; }

    public required string Output { get; init; }

    public required OptimizerSettings Optimizer { get; init; }

    public required ParameterSet Parameters { get; init; }

    public required long Steps { get; init; }

    /// <summary>The number of steps between checkpoints; with 0 there is only a checkpoint at an interruption.</summary>
    public required int CheckpointEvery { get; init; }

    /// <summary>Computes the loss of a step (counted from 0) and fills the gradients.</summary>
    public required Func<long, StepResult> Accumulate { get; init; }

    /// <summary>More tensors that a checkpoint stores.</summary>
    public IReadOnlyList<(string Name, Tensor Values)> Extra { get; init; } = [];

    /// <summary>The position in the data after the last step, for a checkpoint.</summary>
    public Func<JsonObject> DataState { get; init; } = () => [];

    /// <summary>Called once before the first step, with the <see cref="DataState"/> of the checkpoint, or null at a fresh start.</summary>
    public Action<JsonObject?> Begin { get; init; } = _ => { };

    /// <summary>Called after each step with the number of finished steps; true ends the run early.</summary>
    public Func<long, bool> Finished { get; init; } = _ => false;

    /// <exception cref="TrainingException">The loss is not a number.</exception>
    /// <exception cref="OperationCanceledException">Interrupted; a checkpoint was written.</exception>
    public void Run(CancellationToken cancellation)
    {
        using AdamW optimizer = new(Parameters, Optimizer.Beta1, Optimizer.Beta2, weightDecay: Optimizer.WeightDecay);
        Parameters.Gradients.zero_();
        JsonObject? state = Checkpoint.Restore(Output, Tensors(optimizer));
        optimizer.Steps = (long?)state?["step"] ?? 0;
        Begin(state?["data"]?.AsObject());
        RunReport.Show(Title, Output, optimizer.Steps, Steps, report =>
        {
            while (optimizer.Steps < Steps)
            {
                if (cancellation.IsCancellationRequested)
                {
                    Save(optimizer);
                    throw new OperationCanceledException($"Interrupted after step {optimizer.Steps}; the same command continues from there.", cancellation);
                }

                Step(optimizer, report);
                if (Finished(optimizer.Steps))
                {
                    break;
                }

                if (CheckpointEvery > 0 && optimizer.Steps % CheckpointEvery == 0 && optimizer.Steps < Steps)
                {
                    Save(optimizer);
                }
            }
        });
    }

    private void Step(AdamW optimizer, RunReport report)
    {
        using DisposeScope scope = NewDisposeScope();
        long step = optimizer.Steps;
        StepResult result = Accumulate(step);
        float loss = result.Loss.item<float>();
        if (!float.IsFinite(loss))
        {
            throw new TrainingException($"{Title}: the loss at step {step + 1} is {loss}; try a learning rate below {Optimizer.LearningRate} or a longer warm-up.");
        }

        double rate = Optimizer.RateAt(step, Steps);
        optimizer.Step(rate, Optimizer.ClipNorm);
        report.Step(step + 1, loss, rate, result.Tokens);
    }

    private void Save(AdamW optimizer) =>
        Checkpoint.Save(Output, optimizer.Steps, Tensors(optimizer), new JsonObject { ["step"] = optimizer.Steps, ["data"] = DataState() });

    private IReadOnlyList<(string Name, Tensor Values)> Tensors(AdamW optimizer) =>
        [("weights", Parameters.Values), ("first_moment", optimizer.FirstMoment), ("second_moment", optimizer.SecondMoment), .. Extra];
}
