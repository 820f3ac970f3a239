using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Rows of <paramref name="Context"/> tokens until this share of all steps is done.</summary>
/// <param name="Until">Above 0, at most 1; the last phase's is 1.</param>
public sealed record ContextPhase(double Until, int Context);

/// <summary>What <c>pretrain</c> runs with. Paths are relative to the working directory.</summary>
/// <param name="Data">Documents, see <see cref="Data.Sources.Documents"/>.</param>
/// <param name="Tokenizer">A folder with tokenizer.json; its files are copied to the output.</param>
/// <param name="Output">The folder that becomes a Hugging Face checkpoint.</param>
/// <param name="TotalTokens">Of the whole run; rounded up to whole steps.</param>
/// <param name="TokensPerStep">A multiple of every phase's context.</param>
/// <param name="Contexts">In order; the same number of tokens per step in each.</param>
/// <param name="Model">Sizes of a fresh model; or give <paramref name="Init"/>.</param>
/// <param name="Init">A checkpoint folder to go on from, with its weights but a fresh optimizer (continued pre-training).</param>
/// <param name="FirstDocument">Index of the first document.</param>
/// <param name="MicroBatchTokens">Tokens that go through the model at once; the gradients of a step's pieces are added up.</param>
/// <param name="Threads">0: as many as there are cores.</param>
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

    /// <param name="step">From 0.</param>
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
