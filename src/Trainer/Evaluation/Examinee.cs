using ProxyTune.Decoding.Catalog;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Evaluation;

/// <summary>
/// Something that answers questions: models of one family, alone or fused, run by the server's own engine. The first folder is the base.
/// </summary>
internal sealed class Examinee : IAsyncDisposable
{
    private const int MaxAnswerTokens = 64;

    private readonly OnnxLanguageModel[] _models;
    private readonly FusedModel _ensemble;
    private readonly DecodeScheduler _scheduler;
    private readonly PromptReader _reader;

    public Examinee(params string[] folders)
    {
        _models = [.. folders.Select(folder => OnnxLanguageModel.Load(folder, new EngineOptions()))];
        _ensemble = new FusedModel("examinee", _models);
        _scheduler = new DecodeScheduler(_ensemble, new SchedulerOptions { MaxWaiting = int.MaxValue });
        _reader = PromptFormat.Of(PromptFormat.Chat, folders[0], Tokenizer.Load(folders[0]));
    }

    /// <summary>Greedy answers of the weighted sum.</summary>
    /// <param name="weights">One factor per folder, in their order; 0 leaves a model out.</param>
    public async Task<IReadOnlyList<string>> AnswerAsync(IEnumerable<Example> questions, params float[] weights)
    {
        var plan = new FusionPlan([.. _models.Zip(weights, (model, weight) => new FusionStream(model, StreamRole.Base, weight)).Where(s => s.Weight != 0)]);
        var running = questions.Select(question =>
        {
            ReadOnlyMemory<int> prompt = _reader.Read(question.Messages);
            return _scheduler.Submit(new GenerationRequest
            {
                Prompt = new Prompt(plan, [.. plan.Streams.Select(_ => prompt)]),
                Sampling = new SamplingOptions { Temperature = 0 },
                MaxTokens = MaxAnswerTokens,
            });
        }).ToArray();
        return await Task.WhenAll(running.Select(ReadAsync));
    }

    public async ValueTask DisposeAsync()
    {
        await _scheduler.DisposeAsync();
        _ensemble.Dispose();
        _reader.Tokenizer.Dispose();
    }

    private async Task<string> ReadAsync(Generation generation)
    {
        var ids = new List<int>();
        await foreach (var token in generation.Tokens.ReadAllAsync())
        {
            ids.Add(token.Id);
        }

        return _reader.Tokenizer.Decode(ids).Trim();
    }
}
