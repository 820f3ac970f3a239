namespace ProxyTune.Decoding.Generation;

/// <summary>What is done for prompts between two steps: those that are too long to be computed by one step are computed in pieces before it.</summary>
internal static class PrefillStep
{
    /// <summary>Spends the budget on prompts, the oldest request first, and finds who takes part in the next step.</summary>
    /// <param name="budget">How many prompt tokens may be computed, those that the step itself will compute among them.</param>
    /// <param name="ready">Gets the requests that will not wait for anyone, and whose prompt is computed or can be by the step.</param>
    /// <returns>What is left of the budget, and whether anything was computed.</returns>
    public static (int Left, bool HasRun) Run(IReadOnlyList<LiveRequest> live, int budget, List<LiveRequest> ready)
    {
        ready.Clear();
        bool hasRun = false;
        foreach (LiveRequest request in live)
        {
            if (request.Pending > budget && budget > 0)
            {
                budget -= request.Prefill(budget);
                hasRun = true;
            }

            int pending = request.Pending;
            if (pending <= budget && request.IsReady)
            {
                budget -= pending;
                ready.Add(request);
            }
        }

        return (budget, hasRun);
    }
}
