using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Generation;

/// <summary>One step of all live requests: one <see cref="ILanguageModel.Forward"/>, then a draw per request.</summary>
internal sealed class DecodingStep(ILanguageModel model)
{
    private readonly List<Segment> batch = [];
    private float[] logits = [];

    public void Run(IReadOnlyList<LiveRequest> live)
    {
        batch.Clear();
        foreach (LiveRequest request in live)
        {
            batch.Add(request.Segment);
        }

        int width = model.Info.VocabularySize;
        int length = checked(width * batch.Count);
        if (logits.Length < length)
        {
            logits = GC.AllocateUninitializedArray<float>(length);
        }

        try
        {
            model.Forward(batch, logits.AsSpan(0, length));
        }
        catch (Exception e)
        {
            // A model may throw anything; the loop must survive it.
            EngineException failure = ModelFailure.Of(model, e);
            foreach (LiveRequest request in live)
            {
                request.Fail(failure);
            }

            return;
        }

        for (int i = 0; i < live.Count; i++)
        {
            live[i].Accept(logits.AsSpan(i * width, width));
        }
    }
}
