using ProxyTune.Decoding.Models;

namespace ProxyTune.Decoding.Generation;

/// <summary>One step of all live requests: one <see cref="ILanguageModel.Forward"/>, then a draw, or scores of prompt tokens, per request.</summary>
internal sealed class DecodingStep(ILanguageModel model)
{
    // Rows of prompts to score are written for every position, so this bounds their buffer (to 16 MiB, for each member too).
    private const int MostScoringLogits = 1 << 22;

    private readonly List<LiveRequest> taking = [];
    private readonly List<Segment> batch = [];
    private float[] logits = [];

    /// <param name="promptTokens">How many prompt tokens may be scored, all requests together; one is scored in any case.</param>
    /// <returns>Tokens drawn.</returns>
    public int Run(IReadOnlyList<LiveRequest> live, int promptTokens)
    {
        int width = model.Info.VocabularySize;
        int length = checked(width * Gather(live, Math.Max(1, Math.Min(promptTokens, MostScoringLogits / width))));
        if (logits.Length < length)
        {
            logits = GC.AllocateUninitializedArray<float>(length);
        }

        try
        {
            if (batch.Count > 0)
            {
                model.Forward(batch, logits.AsSpan(0, length));
            }
        }
        catch (Exception e)
        {
            // A model may throw anything; the loop must survive it.
            EngineException failure = ModelFailure.Of(model, e);
            taking.ForEach(request => request.Fail(failure));
            return 0;
        }

        int drawn = 0, start = 0;
        for (int i = 0; i < taking.Count; i++)
        {
            int taken = batch[i].Rows * width;
            drawn += taking[i].Accept(logits.AsSpan(start, taken), width) ? 1 : 0;
            start += taken;
        }

        return drawn;
    }

    /// <summary>
    /// A row for each request that draws, and as many as are allowed for prompts, the oldest first: a long chunk of one prompt is faster than
    /// short ones of many, and nobody who draws waits.
    /// </summary>
    /// <returns>Rows of the batch.</returns>
    private int Gather(IReadOnlyList<LiveRequest> live, int spare)
    {
        taking.Clear();
        batch.Clear();
        int total = 0;
        foreach (LiveRequest request in live)
        {
            int rows = Math.Min(request.Rows, request.IsScoring ? spare : 1);
            if (rows > 0)
            {
                spare -= request.IsScoring ? rows : 0;
                taking.Add(request);
                batch.Add(request.Segment(rows));
                total += rows;
            }
        }

        return total;
    }
}
