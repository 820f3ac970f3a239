using System.Runtime.ExceptionServices;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Fusion;

/// <summary>One sequence per stream. The streams have different prompts and the same appended tokens.</summary>
internal sealed class FusedSequence : Sequence
{
    private readonly Prompt prompt;
    private readonly int startLength;
    private readonly List<Weighing> weighings = [];

    public FusedSequence(Prompt prompt, RunningPlan running, IReadOnlyList<FusedStream> streams)
    {
        this.prompt = prompt;
        Plan = FusionPlan.Of(prompt);
        Running = running;
        Streams = streams;
        startLength = streams[0].Sequence.Length;
        int shared = streams.Min(s => s.Member.Model.Info.VocabularySize);
        VocabularySize = Math.Min(shared, Plan.VocabularySize ?? shared);
        EndOfTextIds = [.. streams.SelectMany(s => s.Sequence.EndOfTextIds).Distinct()];
    }

    public FusionPlan Plan { get; }

    public RunningPlan Running { get; }

    public IReadOnlyList<FusedStream> Streams { get; }

    /// <inheritdoc cref="Prompt.ToScale"/>
    public bool ToScale => prompt.ToScale && Plan.Scale != RowScale.Logits;

    /// <summary>Whether the base's rows hold only the likeliest tokens.</summary>
    public bool IsBasePartial => Running.Base is { } i && Streams[i].Sequence.MaxMissing is not null;

    /// <summary>The stream that drafts, or null.</summary>
    public FusedStream? Drafter => Running.Drafter is { } i ? Streams[i] : null;

    /// <summary>The size of the shared vocabulary.</summary>
    public int VocabularySize { get; }

    public override int Length => Streams[0].Sequence.Length;

    public override int Room => Streams.Min(s => s.Sequence.Room);

    public override int Pending => Streams.Max(s => s.Sequence.Pending);

    public override int CachedTokens => Running.Base is { } stream ? Streams[stream].Sequence.CachedTokens : 0;

    public override IReadOnlyList<int> EndOfTextIds { get; }

    /// <summary>
    /// The index of the token that row <paramref name="index"/> of the <paramref name="rows"/> newest rows predicts: 0 for the first token of the answer,
    /// or for the first scored token of the prompt.
    /// </summary>
    public int Position(int index, int rows) => Length - startLength - (rows - 1 - index);

    /// <summary>The index of that token within the answer, or within the scored prompt. A schedule begins anew with the answer.</summary>
    public int ScheduledPosition(int position) => position < prompt.Scored ? position : position - prompt.Scored;

    /// <summary>The weights of the token before, or null at the beginning of the scored prompt and of the answer.</summary>
    public Weighing? Previous(int position) => ScheduledPosition(position) == 0 ? null : WeighingAt(position - 1);

    public Weighing? WeighingAt(int position) => position >= 0 && position < weighings.Count ? weighings[position] : null;

    /// <summary>Stores the weights of a position. A rule may read those of the previous position.</summary>
    public void Record(int position, Weighing weighing)
    {
        while (weighings.Count < position)
        {
            // Positions without requested rows have no weights.
            weighings.Add(Weighing.Unasked);
        }

        weighings.RemoveRange(position, weighings.Count - position);
        weighings.Add(weighing);
    }

    public void Fail(EngineException fault) => Fault ??= fault;

    public override TokenTrace? Explain(int index, int rows, ReadOnlySpan<float> row, int token) =>
        Plan.Trace && WeighingAt(Position(index, rows)) is { } weighing ? Explanation.Of(this, weighing, index, row, token) : null;

    public override bool CanDraft => Running.Drafter is not null;

    public override Task Expect(ReadOnlyMemory<int> tokens)
    {
        Task all = Task.CompletedTask;
        foreach (FusedStream stream in Streams)
        {
            Task one = stream.Sequence.Expect(tokens);
            all = all.IsCompleted ? one : one.IsCompleted ? all : Task.WhenAll(all, one);
        }

        return all;
    }

    public override void Rewind(int count)
    {
        foreach (FusedStream stream in Streams)
        {
            stream.Sequence.Rewind(count);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Dispose(Streams);
        }
    }

    /// <summary>Disposes every stream, also if one throws. The first exception is thrown at the end.</summary>
    public static void Dispose(IEnumerable<FusedStream> streams)
    {
        ExceptionDispatchInfo? first = null;
        foreach (FusedStream stream in streams)
        {
            try
            {
                stream.Sequence.Dispose();
            }
            catch (Exception e)
            {
                first ??= ExceptionDispatchInfo.Capture(e);
            }
        }

        first?.Throw();
    }
}

/// <summary>The weights of one position.</summary>
/// <param name="Factors">The rule's factor for each delta.</param>
/// <param name="Weights">The final factor of each delta.</param>
internal sealed record Weighing(float[] Factors, float[] Weights, int Kept, bool Saturated, GateTrace? Gated)
{
    /// <summary>The bound of a remote base; null for other bases.</summary>
    public MissingBound? Missing { get; init; }

    public static Weighing Unasked { get; } = new([], [], 0, false, null);
}

/// <summary>A stream of one fused sequence: its member's sequence, and the place of its rows in the current step.</summary>
/// <param name="name">The name of the model with its patch, for messages.</param>
internal sealed class FusedStream(Member member, Sequence sequence, string name)
{
    private readonly List<int> rows = [];

    public string Name { get; } = name;

    public Member Member { get; } = member;

    public Sequence Sequence { get; } = sequence;

    /// <summary>Whether the draft has appended the tokens of the next Forward, so that the stream already has the rows.</summary>
    public bool IsAhead { get; set; }

    public ReadOnlyMemory<float> Row(int index) => Member.Row(rows[index]);

    /// <summary>The places of the rows of this step. The rows of a draft are added one by one.</summary>
    public void Place(int first, int count)
    {
        for (int i = 0; i < count; i++)
        {
            rows.Add(first + i);
        }
    }

    public void Clear() => rows.Clear();

    /// <summary>The value to subtract from a row to get log-probabilities. It is 0 for a row of likeliest tokens, which already has log-probabilities.</summary>
    public float Normaliser(ReadOnlySpan<float> row) => Sequence.MaxMissing is null ? Logprobs.Normaliser(row) : 0;
}
