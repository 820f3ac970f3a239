using System.Runtime.CompilerServices;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Decoding.Audit;

/// <summary>
/// Contrastive generative exploration (Isonuma and Titov 2024, arXiv 2410.14765): finds the texts that show best what an expert learned. Each
/// text is the one of several answers to a message with the largest contrast, minus what earlier texts have shown. The scheduler treats them like all
/// other answers.
/// </summary>
public sealed class ExpertAudit
{
    private const int LongestQuestion = 64;

    // Makes seeds of consecutive draws differ in many bits.
    private const ulong SeedStride = 0x9E3779B97F4A7C15;

    private readonly ContrastedPair pair;
    private readonly AuditSettings settings;
    private readonly Func<IDisposable> use;

    /// <exception cref="EngineException">UnknownExpert or InvalidValue, naming the field.</exception>
    public ExpertAudit(ServedModel model, string expert, AuditSettings settings)
    {
        settings.Check();
        (this.settings, use) = (settings, model.Use);
        ServedExpert found = model.Experts.FirstOrDefault(known => known.Name == expert) ?? throw new EngineException(
            EngineError.UnknownExpert,
            $"expert is '{expert}'; '{model.Name}' has {(model.Experts.Count == 0 ? "no experts" : string.Join(", ", model.Experts.Select(known => known.Name)))}.",
            "expert");
        pair = new ContrastedPair(found, model.VocabularySize, settings);
    }

    /// <summary>The expert's model, with its patches.</summary>
    public string Tuned => pair.Tuned.ModelName;

    /// <summary>Its anti-expert.</summary>
    public string Untuned => pair.Untuned.ModelName;

    /// <param name="prompts">Users' messages to answer in turn; null lets the untuned model write one for each text.</param>
    /// <returns>The texts in the order in which they are found.</returns>
    /// <exception cref="EngineException">As of <see cref="DecodeScheduler.Submit"/> and of a failed step.</exception>
    public async IAsyncEnumerable<FoundText> RunAsync(
        DecodeScheduler scheduler, IReadOnlyList<string>? prompts, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        AuditMetrics.Started();
        Novelty novelty = new(settings.Diversity);
        RequestOrigin origin = new("audit");
        ulong seed = settings.Seed;
        for (int i = 0; i < settings.Texts; i++)
        {
            string prompt = prompts is null ? await AskAsync(scheduler, origin, Next(), cancellation) : prompts[i % prompts.Count];
            GenerationRequest request = new() { Prompt = pair.Answer(prompt), MaxTokens = settings.MaxTokens, Measured = false, Origin = origin, Use = use };
            GenerationRequest[] requests = [.. Enumerable.Range(0, settings.Candidates).Select(_ => request with { Sampling = new() { Seed = Next() } })];
            List<Draw> draws = [];

            // At most half of the places, so that other requests can run.
            foreach (GenerationRequest[] group in requests.Chunk(Math.Max(1, scheduler.Options.MaxRunning / 2)))
            {
                draws.AddRange((await CollectAsync(scheduler, group, cancellation)).Select(tokens => new Draw(tokens)));
            }

            Draw best = draws.MaxBy(draw => novelty.Of(draw.Contrasts))!;
            novelty.Add(best.Contrasts);
            yield return new FoundText(
                i, prompt, Text(best.Tokens), best.Contrasts.Sum(token => (double)token.Contrast), best.Tokens.Count, best.Contrasts.MaxBy(token => token.Contrast));
        }

        ulong Next() => seed = unchecked(seed + SeedStride);
    }

    private async Task<string> AskAsync(DecodeScheduler scheduler, RequestOrigin origin, ulong seed, CancellationToken cancellation)
    {
        GenerationRequest question = new() { Prompt = pair.Question(), MaxTokens = LongestQuestion, Sampling = new() { Seed = seed }, Measured = false, Origin = origin, Use = use };
        IReadOnlyList<GeneratedToken> tokens = (await CollectAsync(scheduler, [question], cancellation))[0];

        // A special token of the template ends the user's turn, even if it does not end a text. Templates accept any character but U+0000.
        GeneratedToken[] message = [.. tokens.TakeWhile(token => !pair.Tokenizer.IsSpecial(token.Id))];

        // The text may have more tokens when it is tokenised again.
        string text;
        do
        {
            text = Text(message).Replace("\0", "", StringComparison.Ordinal).Trim();
            message = message[..(message.Length / 2)];
        }
        while (message.Length > 0 && !pair.HasRoom(text));
        return text;
    }

    private string Text(IReadOnlyList<GeneratedToken> tokens) =>
        pair.Tokenizer.Decode([.. tokens.Where(token => token.Finish != FinishReason.Stop).Select(token => token.Id)]);

    /// <summary>Runs requests at the same time until all have ended. Cancellation frees them all.</summary>
    private static async Task<IReadOnlyList<IReadOnlyList<GeneratedToken>>> CollectAsync(
        DecodeScheduler scheduler, IReadOnlyList<GenerationRequest> requests, CancellationToken cancellation)
    {
        List<GenerationStream> running = [];
        try
        {
            foreach (GenerationRequest request in requests)
            {
                running.Add(scheduler.Submit(request));
            }

            return await Task.WhenAll(running.Select(ReadAsync));
        }
        finally
        {
            running.ForEach(generation => generation.Dispose());
        }

        async Task<IReadOnlyList<GeneratedToken>> ReadAsync(GenerationStream generation)
        {
            List<GeneratedToken> tokens = [];
            await foreach (GeneratedToken token in generation.Tokens.ReadAllAsync(cancellation))
            {
                tokens.Add(token);
            }

            return tokens;
        }
    }

    private sealed record Draw(IReadOnlyList<GeneratedToken> Tokens)
    {
        public IReadOnlyList<TokenContrast> Contrasts { get; } = [.. Tokens.Select(token => new TokenContrast(token.Id, ContrastedPair.ContrastOf(token.Trace!)))];
    }
}
