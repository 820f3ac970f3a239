using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Models;

/// <summary>The state of one conversation in one model.</summary>
public abstract class Sequence : IDisposable
{
    /// <summary>Tokens in the sequence: prompt and appended ones.</summary>
    public abstract int Length { get; }

    /// <summary>How many tokens can still be appended.</summary>
    public abstract int Room { get; }

    /// <summary>Prompt tokens that <see cref="ILanguageModel.Prefill"/> can still compute; 0 for a model that computes prompts as a whole.</summary>
    public virtual int Pending => 0;

    /// <summary>
    /// Prompt tokens whose keys and values came from an earlier text; known once the first part of the prompt is computed. For a fused sequence
    /// those of the base.
    /// </summary>
    public virtual int CachedTokens { get; protected set; }

    /// <summary>The ids that end this text; for a fused sequence the union over its streams.</summary>
    public abstract IReadOnlyList<int> EndOfTextIds { get; }

    /// <summary>
    /// Why the last <see cref="ILanguageModel.Forward"/>, or reading one of its rows, failed for this sequence alone. Its rows are undefined
    /// then and it can only be disposed; the other sequences of the batch are sound. Null while all is well.
    /// </summary>
    public EngineException? Fault { get; protected set; }

    /// <summary>Why a token came of a row of the last <see cref="ILanguageModel.Forward"/>; null unless the plan asked for a trace.</summary>
    /// <param name="index">Which of the rows that were asked for, from 0.</param>
    /// <param name="rows">How many were asked for.</param>
    /// <param name="row">That row.</param>
    public virtual TokenTrace? Explain(int index, int rows, ReadOnlySpan<float> row, int token) => null;

    /// <summary>Whether <see cref="ILanguageModel.Draft"/> can guess for this sequence.</summary>
    public virtual bool CanDraft => false;

    /// <summary>
    /// The largest log-probability that a token with minus infinity in the last row may really have, where the model knows only the likeliest
    /// tokens; null where its rows are whole.
    /// </summary>
    public float? MaxMissing { get; protected set; }

    /// <summary>
    /// Announces the tokens that the next <see cref="ILanguageModel.Forward"/> will append. A remote model sends its request now,
    /// so that Forward finds the answer; without this call Forward would wait for it.
    /// </summary>
    /// <returns>Completes, and never fails, when Forward will not have to wait. Forward reports an error as a <see cref="Fault"/>.</returns>
    public virtual Task Expect(ReadOnlyMemory<int> tokens) => Task.CompletedTask;

    /// <summary>Forgets the newest tokens.</summary>
    /// <param name="count">How many appended tokens to drop; the prompt cannot be dropped.</param>
    public abstract void Rewind(int count);

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected abstract void Dispose(bool disposing);
}

/// <summary>Tokens to append to one sequence, and how many of the newest positions' logits are wanted.</summary>
/// <param name="Tokens">May be empty when the sequence still has its prompt to compute.</param>
/// <param name="Rows">At least 1, at most the number of positions that this call computes.</param>
public readonly record struct Segment(Sequence Sequence, ReadOnlyMemory<int> Tokens, int Rows = 1);
