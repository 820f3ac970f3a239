using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Tests.Hosting;

/// <summary>The real ensemble with an action before each step, such as waiting or failing.</summary>
internal sealed class InterceptedModel(ILanguageModel model, Action beforeStep) : ILanguageModel
{
    public ModelInfo Info => model.Info;

    /// <summary>Inserts the model between the scheduler and the ensemble of a server.</summary>
    public static Action<WebApplicationBuilder> Between(Action beforeStep, SchedulerOptions? options = null) => builder =>
        builder.Services.AddSingleton(services => new DecodeScheduler(
            new InterceptedModel(services.GetRequiredService<ModelHost>().Ensemble, beforeStep), options ?? new SchedulerOptions()));

    public Sequence Start(Prompt prompt) => model.Start(prompt);

    public RowBatch Forward(IReadOnlyList<Segment> batch)
    {
        beforeStep();
        return model.Forward(batch);
    }

    public void Dispose() => model.Dispose();
}
