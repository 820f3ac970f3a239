using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Fusion;

/// <summary>One model of the ensemble and its rows of the current step, of one run, or of several where it drafts.</summary>
internal sealed class Member(ILanguageModel model)
{
    private readonly List<Segment> batch = [];
    private readonly HostRows earlier = new();
    private RowBatch? newest;
    private int rows;
    private bool isOver;

    public ILanguageModel Model { get; } = model;

    /// <summary>Why the member's last run failed.</summary>
    public EngineException? Failure { get; private set; }

    /// <summary>Says that the step has no more runs. Its rows can be read until a segment of the next step is added.</summary>
    public void EndStep() => isOver = true;

    /// <summary>Adds a segment and returns the index of its first row.</summary>
    public int Add(Segment segment)
    {
        if (isOver)
        {
            earlier.Resize(0, Model.Info.VocabularySize);
            (newest, rows, isOver) = (null, 0, false);
        }

        batch.Add(segment);
        rows += segment.Rows;
        return rows - segment.Rows;
    }

    /// <summary>Runs the segments that were added since the last run.</summary>
    public void Run()
    {
        Failure = null;
        if (batch.Count == 0)
        {
            return;
        }

        try
        {
            KeepNewest();
            newest = Model.Forward(batch);
        }
        catch (Exception e)
        {
            // A failure costs only the sequences that use this model, whatever it throws.
            Failure = ModelFailure.Of(Model, e);
        }

        batch.Clear();
    }

    public ReadOnlyMemory<float> Row(int index) => index < earlier.Count ? earlier.Row(index) : newest!.Row(index - earlier.Count);

    /// <summary>The model's next call makes the rows of its last one invalid.</summary>
    private void KeepNewest()
    {
        if (newest is not null)
        {
            int kept = earlier.Count;
            earlier.Resize(kept + newest.Count, Model.Info.VocabularySize);
            for (int i = 0; i < newest.Count; i++)
            {
                newest.Row(i).Span.CopyTo(earlier.Write(kept + i));
            }

            newest = null;
        }
    }
}
