using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// A model that continues token sequences. Its calls are synchronous and take batches. The same call serves prefill, decoding and verification.
/// </summary>
/// <remarks>
/// The decode loops of several bases can share a model: any thread may call it at any time, but only one at a time for each sequence. A model may run
/// one call after another.
/// </remarks>
public interface ILanguageModel : IDisposable
{
    ModelInfo Info { get; }

    /// <summary>The model that runs the sequences of such a prompt. Different parts may be called by different threads at the same time. The default has one part, itself.</summary>
    ILanguageModel Part(Prompt prompt) => this;

    /// <summary>Begins a sequence. The first <see cref="Forward"/> that names it computes its prompt, except for the part that <see cref="Prefill"/> computed before.</summary>
    /// <exception cref="EngineException">QueueFull when the model holds as many sequences as it can; PromptTooLong.</exception>
    Sequence Start(Prompt prompt);

    /// <summary>
    /// Computes a part of a sequence's prompt before <see cref="Forward"/>, so that other sequences do not wait for a whole long
    /// prompt. It does nothing if Forward would compute at most that many positions.
    /// </summary>
    /// <param name="positions">The largest number of positions, for each stream of the sequence.</param>
    /// <returns>The number of computed positions; for several streams the maximum.</returns>
    /// <exception cref="EngineException">This sequence is lost; the other sequences are not affected.</exception>
    int Prefill(Sequence sequence, int positions) => 0;

    /// <summary>
    /// Appends each segment's tokens to its sequence (after tokens that the sequence has not computed yet, such as its prompt).
    /// <see cref="Sequence.Fault"/> reports a failure of a single sequence; an exception means that every sequence of the batch is lost.
    /// </summary>
    /// <param name="batch">At most one segment per sequence.</param>
    /// <returns>
    /// The logits of the last <see cref="Segment.Rows"/> positions of each segment, one segment after the other: [sum of Rows,
    /// VocabularySize]. The caller releases them before its next call. A row that is never read, such as the row after a rejected draft token, costs
    /// nothing beyond the pass and has no effect.
    /// </returns>
    RowBatch Forward(IReadOnlyList<Segment> batch);

    /// <summary>
    /// Lets a cheaper part of the model draft the next tokens of sequences, so that one <see cref="Forward"/> scores several positions of each. That
    /// Forward must be the next call that names the sequences, and must append the newest token and the draft. The caller then rewinds rejected tokens.
    /// <see cref="Sequence.Fault"/> reports a failure of a single sequence. The default drafts nothing.
    /// </summary>
    /// <param name="batch">At most one draft per sequence. The prompts of the sequences are computed. A draft may stay empty.</param>
    void Draft(IReadOnlyList<IDraft> batch)
    {
    }
}

/// <summary>
/// A draft of the next tokens of one sequence. Draft tokens are sampled like the final tokens, by the same chain and with the same
/// noise. Thus a draft token is accepted at any temperature if drafter and model agree on the draw.
/// </summary>
public interface IDraft
{
    Sequence Sequence { get; }

    /// <summary>The number of draft tokens so far.</summary>
    int Length { get; }

    /// <summary>The token that the drafter's sequence does not have yet: first the newest drawn token, then the newest draft token.</summary>
    ReadOnlyMemory<int> Newest { get; }

    /// <summary>Drafts the token after <see cref="Newest"/>.</summary>
    /// <param name="row">The drafter's row after that token, as wide as the rows of the whole model.</param>
    /// <returns>True if a token was drafted and the drafter must append it; false if the draft is complete.</returns>
    bool TryDraft(ReadOnlySpan<float> row);
}

/// <summary>The state of one conversation in one model.</summary>
public abstract class Sequence : IDisposable
{
    /// <summary>The number of tokens in the sequence: those of the prompt and appended ones.</summary>
    public abstract int Length { get; }

    /// <summary>The number of tokens that can still be appended.</summary>
    public abstract int Room { get; }

    /// <summary>Prompt tokens that <see cref="ILanguageModel.Prefill"/> can still compute; 0 for a model that computes prompts as a whole.</summary>
    public virtual int Pending => 0;

    /// <summary>
    /// The number of prompt tokens whose keys and values came from the prefix cache. It is known after the first part of the prompt is computed. For a
    /// fused sequence it is the base's number.
    /// </summary>
    public virtual int CachedTokens { get; protected set; }

    /// <summary>The ids that end this text; for a fused sequence the union over its streams.</summary>
    public abstract IReadOnlyList<int> EndOfTextIds { get; }

    /// <summary>
    /// The error of the last <see cref="ILanguageModel.Forward"/>, or of reading one of its rows, for this sequence alone; null without an error. After an
    /// error the rows of the sequence are undefined and it can only be disposed. The other sequences of the batch are not affected.
    /// </summary>
    public EngineException? Fault { get; protected set; }

    /// <summary>Explains a token that was drawn from a row of the last <see cref="ILanguageModel.Forward"/>; null unless the plan asks for a trace.</summary>
    /// <param name="index">The index of the row among the requested rows, from 0.</param>
    /// <param name="rows">The number of requested rows.</param>
    /// <param name="row">The row.</param>
    /// <param name="token">The token that was drawn.</param>
    public virtual TokenTrace? Explain(int index, int rows, ReadOnlySpan<float> row, int token) => null;

    /// <summary>Whether <see cref="ILanguageModel.Draft"/> can draft for this sequence.</summary>
    public virtual bool CanDraft => false;

    /// <summary>
    /// An upper bound of the log-probability of tokens that the last row has at minus infinity because the model returns only the likeliest
    /// tokens; null for a model with complete rows.
    /// </summary>
    public float? MaxMissing { get; protected set; }

    /// <summary>
    /// Announces the tokens that the next <see cref="ILanguageModel.Forward"/> will append. A remote model sends its request now,
    /// so that Forward finds the answer; without this call Forward would wait for it.
    /// </summary>
    /// <returns>A task that completes when Forward no longer has to wait. It never fails; Forward reports an error as a <see cref="Fault"/>.</returns>
    public virtual Task Expect(ReadOnlyMemory<int> tokens) => Task.CompletedTask;

    /// <summary>Removes the newest tokens.</summary>
    /// <param name="count">The number of appended tokens to remove. Tokens of the prompt cannot be removed.</param>
    public abstract void Rewind(int count);

    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    protected abstract void Dispose(bool disposing);
}

/// <summary>Tokens to append to one sequence, and the number of requested rows.</summary>
/// <param name="Sequence">The sequence.</param>
/// <param name="Tokens">The tokens to append. It may be empty if the sequence's prompt is not computed yet.</param>
/// <param name="Rows">The number of newest positions whose logits are requested: at least 1, at most the number of positions that this call computes.</param>
public readonly record struct Segment(Sequence Sequence, ReadOnlyMemory<int> Tokens, int Rows = 1);

/// <summary>
/// The rows of logits that one <see cref="ILanguageModel.Forward"/> gave, in host memory or on a device. They are valid until they are released,
/// also if other callers of the model call it meanwhile.
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

    /// <summary>Called when the rows are not read any more. The model uses their memory again.</summary>
    public virtual void Release()
    {
    }
}

/// <summary>Rows in managed memory.</summary>
/// <param name="release">Called when the rows are not read any more; null for nothing.</param>
public sealed class HostRows(Action<HostRows>? release = null) : RowBatch
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

    public override void Release() => release?.Invoke(this);

    /// <summary>The same row to write into.</summary>
    public Span<float> Write(int index) => logits.AsSpan(index * width, width);
}

/// <summary>The properties of a model.</summary>
public sealed record ModelInfo
{
    public required string Name { get; init; }

    /// <summary>The width of a logits row.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The largest number of tokens of a sequence.</summary>
    public required int ContextLength { get; init; }

    /// <summary>The ids that end a text.</summary>
    public required IReadOnlyList<int> EndOfTextIds { get; init; }

    /// <summary>The SHA-256 over graph and weight files, in lower-case hex.</summary>
    public required string Hash { get; init; }

    /// <summary>The size of keys and values of its sequences; null for a model that keeps them elsewhere.</summary>
    internal KeyValueSize? KeyValues { get; init; }

    /// <summary>True for a model behind a network. It returns one row per call with the likeliest tokens only, and can be slow or unavailable.</summary>
    public bool IsRemote { get; init; }
}

/// <summary>The size of the keys and values of a model's sequences.</summary>
/// <param name="Tensors">The number of tensors, two for each layer.</param>
/// <param name="TensorBytes">The bytes of one token in one tensor.</param>
/// <param name="IsShared">True if all sequences are rows of one buffer per tensor, as wide as the longest; false if each has separate tensors.</param>
/// <param name="FixedWidth">The width of the buffer if the graph prescribes one.</param>
/// <param name="Limit">The budget. Models can share a budget.</param>
internal sealed record KeyValueSize(int Tensors, long TensorBytes, int ContextLength, bool IsShared, int? FixedWidth, long Limit)
{
    private const int LeastWidth = 64;

    /// <summary>The bytes of one token.</summary>
    public long TokenBytes => Tensors * TensorBytes;

    /// <summary>
    /// The bytes of one token in a growing buffer. The buffer is copied tensor by tensor, so one tensor exists twice. If tensors grow with every run,
    /// the running sequence exists twice.
    /// </summary>
    private long GrowingBytes => IsShared ? TokenBytes + TensorBytes : TokenBytes;

    /// <summary>The number of positions that a row of a shared buffer has for a sequence up to a length.</summary>
    public int Width(int longest) => FixedWidth ?? Math.Min(ContextLength, Math.Max(longest, LeastWidth));

    /// <summary>The largest number of bytes of sequences of up to these lengths together.</summary>
    public long Bytes(IReadOnlyCollection<int> lengths) => Tokens(lengths) * GrowingBytes;

    /// <summary>The sum in words.</summary>
    public string Describe(IReadOnlyCollection<int> lengths) => $"{Tokens(lengths)} tokens x {GrowingBytes} bytes";

    private long Tokens(IReadOnlyCollection<int> lengths) =>
        lengths.Count == 0 ? 0
        : IsShared ? lengths.Sum(length => (long)Width(length))
        : lengths.Sum(length => (long)length) + lengths.Max();
}
