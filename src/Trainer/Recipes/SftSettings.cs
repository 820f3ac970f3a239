using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Recipes;

/// <summary>What <c>sft</c> runs with, and the expert's part of <c>cpt</c> and <c>prt</c>. Paths are relative to the working directory.</summary>
/// <param name="Init">The checkpoint folder that training starts from.</param>
/// <param name="Data">Examples, see <see cref="Sources.Examples"/>.</param>
/// <param name="Output">Becomes a checkpoint folder, or with <paramref name="Lora"/> a PEFT adapter folder.</param>
/// <param name="Epochs">Passes over the data; fractions are allowed.</param>
/// <param name="Steps">Instead of epochs; 0 to count in epochs.</param>
/// <param name="Lora">Absent: all weights are trained.</param>
/// <param name="Template">chat, plain or a .jinja file.</param>
/// <param name="EndOfAnswer">Text of the one token behind each answer; absent: the model's eos_token_id.</param>
/// <param name="Validation">Examples to judge by; the weights with the lowest loss are kept. Absent: the last weights are.</param>
/// <param name="ValidateEvery">In steps.</param>
/// <param name="Patience">Ends the run after so many validations without a new best; 0: never.</param>
/// <param name="MicroBatchTokens">Positions that go through the model at once.</param>
/// <param name="Threads">0: as many as there are cores.</param>
public sealed record SftSettings(
    string Init,
    string Data,
    string Output,
    OptimizerSettings Optimizer,
    double Epochs = 3,
    long Steps = 0,
    int BatchSize = 32,
    LoraSettings? Lora = null,
    string Template = PromptFormat.Chat,
    string? EndOfAnswer = null,
    string? Validation = null,
    int ValidateEvery = 50,
    int Patience = 0,
    int MicroBatchTokens = 4096,
    long Seed = 1,
    int Threads = 0,
    int CheckpointEvery = 0) : IRunSettings
{
    public void Check(SettingsCheck check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.NotEmpty("init", Init);
        check.NotEmpty("data", Data);
        check.NotEmpty("output", Output);
        check.Range("epochs", Epochs, 1e-3, 1e6);
        check.Range("steps", Steps, 0, 1e9);
        check.Range("batch_size", BatchSize, 1, 1 << 20);
        check.Range("validate_every", ValidateEvery, 1, int.MaxValue);
        check.Range("patience", Patience, 0, int.MaxValue);
        check.Range("micro_batch_tokens", MicroBatchTokens, 1, 1 << 30);
        check.Range("threads", Threads, 0, 1024);
        check.Range("checkpoint_every", CheckpointEvery, 0, int.MaxValue);
        Lora?.Check(check);
        Optimizer.Check(check);
    }
}
