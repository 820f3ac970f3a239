using ProxyTune.Decoding;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Evaluation;

/// <summary>Asks the served models of a folder questions, through the server's catalog and engine.</summary>
internal sealed class Examinee : IAsyncDisposable
{
    public const int MaxAnswerTokens = 64;

    private readonly ModelHost host;
    private readonly DecodeScheduler scheduler;

    /// <param name="models">A models folder, with or without catalog.json.</param>
    public Examinee(string models)
    {
        host = ModelHost.Load(models, new EngineOptions());
        scheduler = new DecodeScheduler(host.Ensemble, new SchedulerOptions { MaxWaiting = int.MaxValue });
    }

    /// <summary>Answers questions. Decoding is greedy at temperature 0.</summary>
    /// <param name="served">The name of a served model.</param>
    /// <param name="fusion">Changes to the model's fusion; negative weights are allowed.</param>
    public async Task<IReadOnlyList<Answer>> AnswerAsync(IEnumerable<Example> questions, string served, AskedFusion? fusion = null, float temperature = 0)
    {
        Tokenizer tokenizer = host.Get(served).Tokenizer;
        return
        [
            .. (await GenerateAsync(questions, served, fusion, temperature)).Select(tokens =>
                new Answer(tokenizer.Decode([.. tokens.Select(token => token.Id)]).Trim(), tokens[^1].Finish == FinishReason.Length)),
        ];
    }

    /// <summary>Computes the natural logarithm of the fused probability of each expected answer's first token.</summary>
    public async Task<double[]> LogprobsAsync(IEnumerable<Example> questions, string served, AskedFusion? fusion = null)
    {
        ServedModel model = host.Get(served);
        GenerationStream[] running = questions.Select(question => scheduler.Submit(new GenerationRequest
        {
            Prompt = Plan(model, fusion).Render(question.Messages),

            // The bias makes the sampler draw this token. Log-probabilities are computed without the bias.
            Sampling = new SamplingOptions { Temperature = 0, LogitBias = new Dictionary<int, float> { [model.Tokenizer.Encode(question.Answer)[0]] = 100 } },
            MaxTokens = 1,
            TopLogprobs = 0,
        })).ToArray();
        return [.. (await Task.WhenAll(running.Select(ReadAsync))).Select(tokens => (double)tokens[0].Logprob!.Value)];
    }

    /// <summary>Computes the natural logarithm of the fused probability of each whole expected answer, without the token that ends it.</summary>
    public async Task<double[]> AnswerLogprobsAsync(IEnumerable<Example> questions, string served, AskedFusion? fusion = null)
    {
        ServedModel model = host.Get(served);
        return await Task.WhenAll(questions.Select(async question =>
        {
            ServedPlan plan = Plan(model, fusion);
            int[] answer = model.Tokenizer.Encode(question.Answer);
            double[] logprobs = await ScoreAsync(plan.Render((int[])[.. plan.Render(question.Messages).Streams[0].Span, .. answer]));
            return logprobs[^answer.Length..].Sum();
        }));
    }

    /// <summary>Computes the perplexity of texts over all tokens except the first of each text.</summary>
    public async Task<double> PerplexityAsync(IEnumerable<string> texts, string served, AskedFusion? fusion = null)
    {
        ServedModel model = host.Get(served);
        double[][] logprobs = await Task.WhenAll(texts.Select(text => ScoreAsync(Plan(model, fusion).Render(text))));
        return Math.Exp(-logprobs.SelectMany(some => some).Average());
    }

    /// <summary>Answers questions and returns the tokens of each answer, see <see cref="AnswerAsync"/>.</summary>
    public async Task<IReadOnlyList<IReadOnlyList<GeneratedToken>>> GenerateAsync(IEnumerable<Example> questions, string served, AskedFusion? fusion = null, float temperature = 0)
    {
        ServedModel model = host.Get(served);
        GenerationStream[] running = questions.Select((question, i) =>
        {
            ServedPlan plan = Plan(model, fusion);
            return scheduler.Submit(new GenerationRequest
            {
                Prompt = plan.Render(question.Messages),
                Sampling = new SamplingOptions { Temperature = temperature, Seed = (ulong)i },
                MaxTokens = MaxAnswerTokens,
            });
        }).ToArray();
        return await Task.WhenAll(running.Select(ReadAsync));
    }

    public async ValueTask DisposeAsync()
    {
        await scheduler.DisposeAsync();
        host.Dispose();
    }

    /// <summary>Makes a plan for one question. Questions do not share a plan, since a rule may have state.</summary>
    private static ServedPlan Plan(ServedModel model, AskedFusion? fusion) => model.Plan(fusion ?? AskedFusion.Nothing, CallerRole.Operator);

    /// <summary>Computes the log-probabilities of a prompt's tokens except the first.</summary>
    private async Task<double[]> ScoreAsync(Prompt prompt)
    {
        GenerationStream scored = scheduler.Submit(new GenerationRequest { Prompt = prompt, MaxTokens = 0, TopLogprobs = 0, ScorePrompt = true });
        return [.. (await ReadAsync(scored)).Skip(1).Select(token => (double)token.Logprob!.Value)];
    }

    private static async Task<IReadOnlyList<GeneratedToken>> ReadAsync(GenerationStream generation)
    {
        List<GeneratedToken> tokens = new();
        await foreach (GeneratedToken token in generation.Tokens.ReadAllAsync())
        {
            tokens.Add(token);
        }

        return tokens;
    }
}
