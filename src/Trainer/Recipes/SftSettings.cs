using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Recipes;

/// <summary>The settings of the recipe <c>sft</c>, and of the expert in <c>cpt</c> and <c>prt</c>. Paths are relative to the working directory.</summary>
/// <param name="Init">The checkpoint folder that training starts from.</param>
/// <param name="Data">The training examples, see <see cref="Sources.Examples"/>.</param>
/// <param name="Output">The folder of the result: a checkpoint, or with <paramref name="Lora"/> a PEFT adapter.</param>
/// <param name="Epochs">The number of passes over the data; fractions are allowed.</param>
/// <param name="Steps">The number of steps, in place of epochs; 0 uses the epochs.</param>
/// <param name="Lora">The low-rank update to train; without it all weights are trained.</param>
/// <param name="Template">The template of conversations: chat, plain or a .jinja file.</param>
/// <param name="EndOfAnswer">The text of the single token after each answer; the model's eos_token_id by default.</param>
/// <param name="Validation">Validation examples. The result is the weights with the lowest validation loss; without examples it is the last weights.</param>
/// <param name="ValidateEvery">The number of steps between validations.</param>
/// <param name="Patience">The run ends after this number of validations without a new lowest loss; 0 never ends it.</param>
/// <param name="MicroBatchTokens">The positions that go through the model at once.</param>
/// <param name="Threads">The number of threads; 0 uses one per core.</param>
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
