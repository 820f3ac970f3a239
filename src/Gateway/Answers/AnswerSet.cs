using System.Runtime.CompilerServices;
using System.Text;
using System.Threading.Channels;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Gateway.Answers;

/// <summary>All choices of one request. Disposing it cancels those that still run and frees their sequences.</summary>
internal sealed class AnswerSet : IDisposable
{
    private readonly List<Answer> answers = [];
    private readonly int promptTokens;
    private readonly int choices;

    /// <summary>Submits every choice of every prompt, or none: when one is refused, those before it are cancelled.</summary>
    /// <exception cref="EngineException">InvalidValue where they are more than the queue can hold; also the errors of <see cref="DecodeScheduler.Submit"/>.</exception>
    public AnswerSet(
        DecodeScheduler scheduler,
        ModelCall call,
        RequestOrigin origin,
        AskedPrompts asked,
        RequestFields fields,
        GenerationRequestTemplate template)
    {
        IReadOnlyList<Prompt> prompts = asked.Prompts;
        promptTokens = prompts.Sum(prompt => prompt.TokenCount);
        choices = fields.N ?? 1;
        int most = scheduler.Options.MaxWaiting;
        if (prompts.Count * choices > most)
        {
            // A full queue is another error: there a client may try again.
            throw new EngineException(
                EngineError.InvalidValue,
                $"The request asks for {prompts.Count * choices} answers; this server takes at most {most} at once.",
                prompts.Count > most ? "prompt" : "n");
        }

        TraceLimit.Check(prompts, choices, template);
        try
        {
            for (int i = 0; i < prompts.Count * choices; i++)
            {
                int prompt = i / choices;
                TokenStream text = call.Model.Tokenizer.Stream(asked.AreContinued ? prompts[prompt].Streams[0].Span : default);
                GenerationStream generation = scheduler.Submit(template.For(prompts[prompt] with { Tenant = call.Tenant }, i % choices) with { Origin = origin, Use = call.Model.Use });
                answers.Add(new Answer(i, generation, text, fields.Stop ?? [], asked.Echoes?[prompt]));
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public IReadOnlyList<Answer> Answers => answers;

    /// <summary>Cached tokens are counted for each prompt's first choice: the other choices may find the blocks that the first one left.</summary>
    public Usage Usage => new(
        promptTokens,
        answers.Sum(answer => answer.TokenCount),
        new(answers.Where((_, i) => i % choices == 0).Sum(answer => answer.CachedTokens)));

    /// <summary>Deltas of all choices as they come. The first failure ends the enumeration with its exception.</summary>
    public async IAsyncEnumerable<(Answer Answer, AnswerDelta Delta)> ReadAsync([EnumeratorCancellation] CancellationToken cancellation)
    {
        // Few pieces wait here. The rest waits in the generations, which limit it.
        Channel<(Answer, AnswerDelta)> merged = Channel.CreateBounded<(Answer, AnswerDelta)>(answers.Count * 4);
        Task pumps = Task.WhenAll(answers.Select(answer => PumpAsync(answer, merged.Writer, cancellation)));
        _ = pumps.ContinueWith(_ => merged.Writer.TryComplete(), TaskScheduler.Default);
        await foreach ((Answer, AnswerDelta) next in merged.Reader.ReadAllAsync(cancellation))
        {
            yield return next;
        }
    }

    /// <summary>The finished texts, one for each choice.</summary>
    public async Task<IReadOnlyList<WholeAnswer>> CollectAsync(CancellationToken cancellation)
    {
        WholeAnswer[] whole = [.. answers.Select(answer => new WholeAnswer(answer.Index))];
        await foreach ((Answer answer, AnswerDelta delta) in ReadAsync(cancellation))
        {
            whole[answer.Index].Append(delta);
        }

        return whole;
    }

    public void Dispose() => answers.ForEach(answer => answer.Dispose());

    private static async Task PumpAsync(Answer answer, ChannelWriter<(Answer, AnswerDelta)> writer, CancellationToken cancellation)
    {
        try
        {
            await foreach (AnswerDelta delta in answer.ReadAsync(cancellation))
            {
                await writer.WriteAsync((answer, delta), cancellation);
            }
        }
        catch (Exception error)
        {
            writer.TryComplete(error);
        }
    }
}

/// <summary>One choice, collected from its deltas.</summary>
internal sealed class WholeAnswer(int index)
{
    private readonly StringBuilder text = new();
    private readonly List<AnswerToken> tokens = [];

    public int Index { get; } = index;

    public string Text => text.ToString();

    public IReadOnlyList<AnswerToken> Tokens => tokens;

    public string Finish { get; private set; } = "stop";

    public TraceSummary? Trace { get; private set; }

    public void Append(AnswerDelta delta)
    {
        text.Append(delta.Text);
        tokens.AddRange(delta.Tokens);
        Finish = delta.Finish ?? Finish;
        Trace = delta.Trace ?? Trace;
    }
}

/// <summary>Tokens are counted with the end-of-text token; a prompt counts once however many choices it has.</summary>
internal sealed record Usage(int PromptTokens, int CompletionTokens, PromptTokensDetails PromptTokensDetails)
{
    public int TotalTokens => PromptTokens + CompletionTokens;
}

/// <param name="CachedTokens">The tokens that were not computed, because an earlier prompt or answer began with them.</param>
internal sealed record PromptTokensDetails(int CachedTokens);
