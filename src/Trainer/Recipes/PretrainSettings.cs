using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Recipes;

/// <summary>A phase of a run with rows of one length.</summary>
/// <param name="Until">The share of all steps at which the phase ends, above 0 and at most 1; 1 for the last phase.</param>
/// <param name="Context">The number of tokens of a row.</param>
public sealed record ContextPhase(double Until, int Context);

/// <summary>The settings of the recipe <c>pretrain</c>. Paths are relative to the working directory.</summary>
/// <param name="Data">The documents, see <see cref="Data.Sources.Documents"/>.</param>
/// <param name="Tokenizer">A folder with tokenizer.json; its files are copied to the output.</param>
/// <param name="Output">The folder that becomes a Hugging Face checkpoint.</param>
/// <param name="TotalTokens">The tokens of the whole run, rounded up to whole steps.</param>
/// <param name="TokensPerStep">The tokens of a step; a multiple of every phase's context.</param>
/// <param name="Contexts">The phases in order. All have the same number of tokens per step.</param>
/// <param name="Model">The sizes of a fresh model. A run has either this or <paramref name="Init"/>.</param>
/// <param name="Init">A checkpoint folder for continued pre-training. The run takes its weights and starts a fresh optimizer.</param>
/// <param name="FirstDocument">The index of the first document.</param>
/// <param name="MicroBatchTokens">The tokens that go through the model at once. The gradients of a step's pieces are added up.</param>
/// <param name="Threads">The number of threads; 0 uses one per core.</param>
public sealed record PretrainSettings(
    string Data,
    string Tokenizer,
    string Output,
    long TotalTokens,
    int TokensPerStep,
    IReadOnlyList<ContextPhase> Contexts,
    OptimizerSettings Optimizer,
    DecoderSpec? Model = null,
    string? Init = null,
    long FirstDocument = 0,
    int MicroBatchTokens = 4096,
    string EndOfText = "<|endoftext|>",
    long Seed = 1,
    int Threads = 0,
    int CheckpointEvery = 100) : IRunSettings
{
    public long Steps => (TotalTokens + TokensPerStep - 1) / TokensPerStep;

    /// <param name="step">The step, counted from 0.</param>
    public int ContextAt(long step) => Contexts.First(phase => step < phase.Until * Steps || phase == Contexts[^1]).Context;

    public void Check(SettingsCheck check)
    {
        ArgumentNullException.ThrowIfNull(check);
        check.NotEmpty("data", Data);
        check.NotEmpty("output", Output);
        check.Range("total_tokens", TotalTokens, 1, 1e15);
        check.Range("tokens_per_step", TokensPerStep, 1, 1 << 30);
        check.Range("micro_batch_tokens", MicroBatchTokens, 1, 1 << 30);
        check.Range("first_document", FirstDocument, 0, 1e15);
        check.Range("threads", Threads, 0, 1024);
        check.Range("checkpoint_every", CheckpointEvery, 0, int.MaxValue);
        check.Holds(Model is null != Init is null, "model", Model is null ? "absent" : "given", "exactly one of model and init");
        check.Holds(Contexts.Count > 0 && Contexts[^1].Until == 1, "contexts", $"{Contexts.Count} phases", "at least one, the last with until 1");
        int longest = Model?.ContextLength ?? int.MaxValue;
        foreach ((int index, ContextPhase? phase) in Contexts.Index())
        {
            check.Range($"contexts[{index}].until", phase.Until, index == 0 ? 0 : Contexts[index - 1].Until, 1);
            check.Range($"contexts[{index}].context", phase.Context, 1, longest);
            check.Holds(TokensPerStep % phase.Context == 0, "tokens_per_step", TokensPerStep, $"a multiple of contexts[{index}].context ({phase.Context})");
        }

        Optimizer.Check(check);
    }
}
