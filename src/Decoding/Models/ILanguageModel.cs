using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// A model that continues token sequences. Batch-shaped and synchronous: one call serves prefill, decoding and verification.
/// </summary>
/// <remarks>
/// Not thread-safe. The decode scheduler's thread is the only caller of <see cref="Start"/>, <see cref="Prefill"/>, <see cref="Forward"/>,
/// <see cref="Sequence.Rewind"/> and <see cref="Sequence.Dispose()"/>. <see cref="Info"/> may be read by any thread.
/// </remarks>
public interface ILanguageModel : IDisposable
{
    ModelInfo Info { get; }

    /// <summary>Begins a sequence. The first <see cref="Forward"/> that names it computes its prompt, except for the part that <see cref="Prefill"/> computed before.</summary>
    /// <exception cref="EngineException">QueueFull when the model holds as many sequences as it can; PromptTooLong.</exception>
    Sequence Start(Prompt prompt);

    /// <summary>
    /// Computes some of a sequence's prompt ahead of <see cref="Forward"/>, so that other sequences do not wait for a whole long
    /// prompt. Does nothing where Forward would compute at most that many positions.
    /// </summary>
    /// <param name="positions">Most positions; where the sequence consists of streams, of each of them.</param>
    /// <returns>Positions computed; the most of any stream.</returns>
    /// <exception cref="EngineException">The sequence is lost, and no other.</exception>
    int Prefill(Sequence sequence, int positions) => 0;

    /// <summary>
    /// Appends each segment's tokens to its sequence (after tokens that the sequence has not computed yet, such as its prompt).
    /// <see cref="Sequence.Fault"/> reports a failure of a single sequence; an exception means that every sequence of the batch is lost.
    /// </summary>
    /// <param name="batch">At most one segment per sequence.</param>
    /// <returns>
    /// The logits of the last <see cref="Segment.Rows"/> positions of each segment, one segment after the other: [sum of Rows,
    /// VocabularySize]. Valid until the next call of the model. A row that is never read costs nothing beyond the passes and counts for
    /// nothing, such as the row after a wrong guess.
    /// </returns>
    RowBatch Forward(IReadOnlyList<Segment> batch);

    /// <summary>
    /// Lets a cheaper part of the model guess how sequences continue, so that one <see cref="Forward"/> scores several positions of each. That
    /// Forward must be the next call that names the sequences, and append what was newest and the guesses; wrong ones are rewound then.
    /// <see cref="Sequence.Fault"/> reports a failure of a single sequence. The default guesses nothing.
    /// </summary>
    /// <param name="batch">At most one draft per sequence, of sequences whose prompts are computed; any may be left without a guess.</param>
    void Draft(IReadOnlyList<IDraft> batch)
    {
    }
}

/// <summary>
/// A continuation of one sequence that a model guesses. Guesses are drawn as the real tokens will be, by the same chain and with the same
/// noise, so a guess is right wherever drafter and model agree on the draw, at any temperature.
/// </summary>
public interface IDraft
{
    Sequence Sequence { get; }

    /// <summary>How many tokens are guessed so far.</summary>
    int Guesses { get; }

    /// <summary>The one token that the sequence does not have yet: the newest drawn, then the newest guess.</summary>
    ReadOnlyMemory<int> Newest { get; }

    /// <summary>Guesses the token after <see cref="Newest"/>.</summary>
    /// <param name="row">The drafter's row after it, as wide as the whole model's rows.</param>
    /// <returns>Whether the drafter must append the guess too; false where nothing was guessed, or no further guess is wanted.</returns>
    bool TryGuess(ReadOnlySpan<float> row);
}

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

/// <summary>
/// The rows of logits that one <see cref="ILanguageModel.Forward"/> gave, in host memory or on a device. They are valid until the next call
/// of the model.
/// </summary>
/// <remarks>
/// Rows of different segments may be read by different threads at the same time; rows of one segment by one thread at a time, in order.
/// </remarks>
public abstract class RowBatch
{
    /// <summary>Number of rows, those of all segments one after the other.</summary>
    public abstract int Count { get; }

    /// <summary>Logits of a row: the model's vocabulary size.</summary>
    public abstract int Width { get; }

    /// <summary>
    /// A row as float32 in host memory, [Width]. A model may compute a row, or copy it from a device, when it is first read; the
    /// <see cref="Sequence.Fault"/> of its sequence says whether that failed.
    /// </summary>
    public abstract ReadOnlyMemory<float> Row(int index);
}

/// <summary>Rows in managed memory, which is kept for the next batch.</summary>
public sealed class HostRows : RowBatch
{
    private float[] logits = [];
    private int count;
    private int width;

    public override int Count => count;

    public override int Width => width;

    /// <summary>Changes the number of rows; the first ones keep their contents where the width stays the same.</summary>
    public HostRows Resize(int count, int width)
    {
        int length = checked(count * width);
        if (logits.Length < length)
        {
            float[] grown = GC.AllocateUninitializedArray<float>(length);
            logits.AsSpan(0, Math.Min(logits.Length, this.count * this.width)).CopyTo(grown);
            logits = grown;
        }

        (this.count, this.width) = (count, width);
        return this;
    }

    public override ReadOnlyMemory<float> Row(int index) => logits.AsMemory(index * width, width);

    /// <summary>The same row to write into.</summary>
    public Span<float> Write(int index) => logits.AsSpan(index * width, width);
}

/// <summary>What is known of a model before it runs.</summary>
public sealed record ModelInfo
{
    public required string Name { get; init; }

    /// <summary>Width of a logits row.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Most tokens that a sequence can hold.</summary>
    public required int ContextLength { get; init; }

    /// <summary>The ids that end a text.</summary>
    public required IReadOnlyList<int> EndOfTextIds { get; init; }

    /// <summary>SHA-256 over graph and weight files, lower-case hex.</summary>
    public required string Hash { get; init; }

    /// <summary>What keys and values of its sequences take; null where it keeps none here.</summary>
    internal KeyValueSize? KeyValues { get; init; }

    /// <summary>Runs behind a network: it gives one row per call, which knows only the likeliest tokens, and may be slow or down.</summary>
    public bool IsRemote { get; init; }
}

/// <summary>What keys and values of a model's sequences take.</summary>
/// <param name="Tensors">Two for each layer.</param>
/// <param name="TensorBytes">Bytes of one token in one of them.</param>
/// <param name="IsShared">All sequences are rows of one buffer per tensor, as wide as the longest; else each has tensors of its own.</param>
/// <param name="FixedWidth">The buffer's width where the graph prescribes one.</param>
/// <param name="Limit">The budget, which may be other models' too.</param>
internal sealed record KeyValueSize(int Tensors, long TensorBytes, int ContextLength, bool IsShared, int? FixedWidth, long Limit)
{
    private const int LeastWidth = 64;

    /// <summary>Bytes of one token.</summary>
    public long TokenBytes => Tensors * TensorBytes;

    /// <summary>
    /// The same in a buffer that grows: it is copied tensor by tensor, so that one of them exists twice. Where tensors grow with every run,
    /// the whole sequence that runs exists twice.
    /// </summary>
    private long GrowingBytes => IsShared ? TokenBytes + TensorBytes : TokenBytes;

    /// <summary>How wide a shared buffer is for sequences up to that length.</summary>
    public int Width(int longest) => FixedWidth ?? Math.Min(ContextLength, Math.Max(longest, LeastWidth));

    /// <summary>The most bytes that sequences of up to these lengths take together.</summary>
    public long Bytes(IReadOnlyCollection<int> lengths) => Tokens(lengths) * GrowingBytes;

    /// <summary>The sum in words.</summary>
    public string Describe(IReadOnlyCollection<int> lengths) => $"{Tokens(lengths)} tokens x {GrowingBytes} bytes";

    private long Tokens(IReadOnlyCollection<int> lengths) =>
        lengths.Count == 0 ? 0
        : IsShared ? (long)lengths.Count * Width(lengths.Max())
        : lengths.Sum(length => (long)length) + lengths.Max();
}
