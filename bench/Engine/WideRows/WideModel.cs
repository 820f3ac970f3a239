using ProxyTune.Decoding.Models;

namespace ProxyTune.Bench.WideRows;

/// <summary>A model whose passes cost nothing: it hands out rows that it was made with, one after another, as an ONNX model hands out its output memory.</summary>
internal sealed class WideModel(string name, float[][] rows) : ILanguageModel
{
    private readonly FixedRows batch = new(rows);

    public ModelInfo Info { get; } = new() { Name = name, VocabularySize = rows[0].Length, ContextLength = 1 << 20, EndOfTextIds = [], Hash = name };

    public Sequence Start(Prompt prompt) => new WideSequence(prompt.TokenCount);

    public RowBatch Forward(IReadOnlyList<Segment> segments)
    {
        foreach (Segment segment in segments)
        {
            ((WideSequence)segment.Sequence).Append(segment.Tokens.Length);
        }

        return batch.Begin(segments.Count);
    }

    public void Dispose()
    {
    }

    private sealed class FixedRows(float[][] rows) : RowBatch
    {
        private int count;
        private int start;

        public override int Count => count;

        public override int Width => rows[0].Length;

        public FixedRows Begin(int rowCount)
        {
            start = (start + count) % rows.Length;
            count = rowCount;
            return this;
        }

        public override ReadOnlyMemory<float> Row(int index) => rows[(start + index) % rows.Length];
    }

    private sealed class WideSequence(int prompt) : Sequence
    {
        private int length = prompt;

        public override int Length => length;

        public override int Room => (1 << 20) - length;

        public override IReadOnlyList<int> EndOfTextIds => [];

        public void Append(int count) => length += count;

        public override void Rewind(int count) => length -= count;

        protected override void Dispose(bool disposing)
        {
        }
    }
}
