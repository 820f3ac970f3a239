using ProxyTune.Decoding;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Peers;

/// <summary>ProxyTune's engine, with requests through the scheduler as the gateway sends them.</summary>
internal sealed class ThisEngine(string models, string served, SchedulerOptions options) : InferenceEngine
{
    private readonly ModelHost catalog = ModelHost.Load(models, new EngineOptions());
    private DecodeScheduler? scheduler;

    public override Task<int[][]> GenerateAsync(int[][] prompts, int tokens) => Task.WhenAll(prompts.Select(async prompt =>
    {
        using GenerationStream generation = Scheduler.Submit(new GenerationRequest
        {
            Prompt = catalog.Get(served).Plan(AskedFusion.Nothing).Render(prompt),
            Sampling = new SamplingOptions { Temperature = 0 },
            MaxTokens = tokens,
            IgnoreEndOfText = true,
        });
        List<int> written = [];
        await foreach (GeneratedToken token in generation.Tokens.ReadAllAsync())
        {
            written.Add(token.Id);
        }

        return written.ToArray();
    }));

    public override async ValueTask DisposeAsync()
    {
        await Scheduler.DisposeAsync();
        catalog.Dispose();
        await base.DisposeAsync();
    }

    private DecodeScheduler Scheduler => scheduler ??= new(catalog.Ensemble, options);
}
