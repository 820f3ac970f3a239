using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>One sequence per stream, moved in step. Prompts differ per stream, appended tokens do not.</summary>
internal sealed class FusedSequence(IReadOnlyList<FusedStream> streams, int vocabularySize) : Sequence
{
    public IReadOnlyList<FusedStream> Streams { get; } = streams;

    public float[] Weights { get; } = [.. streams.Select(s => s.Weight)];

    /// <summary>Width of the shared vocabulary.</summary>
    public int VocabularySize { get; } = vocabularySize;

    public override int Length => Streams[0].Sequence.Length;

    public override int Room => Streams.Min(s => s.Sequence.Room);

    public override IReadOnlyList<int> EndOfTextIds { get; } = [.. streams.SelectMany(s => s.Sequence.EndOfTextIds).Distinct()];

    public void Fail(EngineException fault) => Fault ??= fault;

    public override void Rewind(int count)
    {
        foreach (FusedStream stream in Streams)
        {
            stream.Sequence.Rewind(count);
        }
    }

    protected override void Dispose(bool disposing)
    {
        foreach (FusedStream stream in Streams)
        {
            stream.Sequence.Dispose();
        }
    }
}

/// <summary>A stream of one fused sequence: its member's sequence and where the member put its rows in the current step.</summary>
internal sealed class FusedStream(Member member, Sequence sequence, float weight)
{
    public Member Member { get; } = member;

    public Sequence Sequence { get; } = sequence;

    public float Weight { get; } = weight;

    public int FirstRow { get; set; }
}
