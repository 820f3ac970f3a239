using ProxyTune.Gateway.Answers;

namespace ProxyTune.Gateway.Completions;

/// <summary>The answers to a completion request, whole or as a stream.</summary>
/// <param name="nameOf">What log-probabilities call a token; null where none are asked for.</param>
internal sealed class CompletionStream(ModelCall call, AnswerSet answers, Func<int, string>? nameOf)
{
    private readonly string id = $"cmpl-{Guid.NewGuid():N}";

    public async Task<Completion> CollectAsync(CancellationToken cancellation)
    {
        IReadOnlyList<WholeAnswer> whole = await answers.CollectAsync(cancellation);
        return Event([.. whole.Select(answer => Choice(answer.Index, answer.Text, answer.Tokens, answer.Finish, answer.Trace))]) with { Usage = answers.Usage };
    }

    public async Task WriteAsync(EventStream stream, bool includeUsage, CancellationToken cancellation)
    {
        await foreach ((Answer answer, AnswerDelta delta) in answers.ReadAsync(cancellation))
        {
            await stream.SendAsync(Event([Choice(answer.Index, delta.Text, delta.Tokens, delta.Finish, delta.Trace)]), CompletionsWire.Json.Completion);
        }

        if (includeUsage)
        {
            await stream.SendAsync(Event([]) with { Usage = answers.Usage }, CompletionsWire.Json.Completion);
        }
    }

    private CompletionChoice Choice(int index, string text, IReadOnlyList<AnswerToken> tokens, string? finish, TraceSummary? trace) =>
        new(index, text, nameOf is null ? null : LogprobWriter.Completion(nameOf, tokens), finish) { FusionTrace = TraceWriter.Write(call, tokens, trace) };

    private Completion Event(IReadOnlyList<CompletionChoice> choices) =>
        new(id, call.Created, call.Model.Name, call.Model.Fingerprint, choices) { Fusion = call.Applied?.Values };
}
