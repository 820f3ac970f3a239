using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>One model of the ensemble and its rows of the current step, of one run, or of several where it drafts.</summary>
internal sealed class Member(ILanguageModel model)
{
    private readonly List<Segment> batch = [];
    private float[] logits = [];
    private int rows;
    private int computed;

    public ILanguageModel Model { get; } = model;

    /// <summary>Why the member's last run failed.</summary>
    public EngineException? Failure { get; private set; }

    /// <summary>The step's runs are done: the next run writes from the first row again.</summary>
    public void Clear() => rows = computed = 0;

    /// <summary>Adds a segment and tells the index of its first row.</summary>
    public int Add(Segment segment)
    {
        batch.Add(segment);
        rows += segment.Rows;
        return rows - segment.Rows;
    }

    /// <summary>Runs what was added since the last run.</summary>
    public void Run()
    {
        Failure = null;
        if (batch.Count == 0)
        {
            return;
        }

        int width = Model.Info.VocabularySize, length = checked(rows * width);
        if (logits.Length < length)
        {
            float[] grown = GC.AllocateUninitializedArray<float>(length);
            logits.AsSpan(0, computed * width).CopyTo(grown);
            logits = grown;
        }

        try
        {
            Model.Forward(batch, logits.AsSpan((computed * width)..length));
        }
        catch (Exception e)
        {
            // Whatever a model throws may only cost the sequences that use it.
            Failure = ModelFailure.Of(Model, e);
        }

        batch.Clear();
        computed = rows;
    }

    public ReadOnlyMemory<float> Row(int index) => logits.AsMemory(index * Model.Info.VocabularySize, Model.Info.VocabularySize);
}
