using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>One model of the ensemble and its batch of the current step.</summary>
internal sealed class Member(ILanguageModel model)
{
    private readonly List<Segment> batch = [];
    private float[] logits = [];
    private int rows;

    public ILanguageModel Model { get; } = model;

    /// <summary>Why the member's run failed in this step.</summary>
    public EngineException? Failure { get; private set; }

    public void Clear()
    {
        batch.Clear();
        rows = 0;
        Failure = null;
    }

    /// <summary>Adds a segment and tells the index of its first row.</summary>
    public int Add(Segment segment)
    {
        batch.Add(segment);
        rows += segment.Rows;
        return rows - segment.Rows;
    }

    public void Run()
    {
        if (batch.Count == 0)
        {
            return;
        }

        int length = checked(rows * Model.Info.VocabularySize);
        if (logits.Length < length)
        {
            logits = GC.AllocateUninitializedArray<float>(length);
        }

        try
        {
            Model.Forward(batch, logits.AsSpan(0, length));
        }
        catch (Exception e)
        {
            // Whatever a model throws may only cost the sequences that use it.
            Failure = ModelFailure.Of(Model, e);
        }
    }

    public ReadOnlyMemory<float> Row(int index) => logits.AsMemory(index * Model.Info.VocabularySize, Model.Info.VocabularySize);
}
