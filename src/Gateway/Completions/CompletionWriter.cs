using ProxyTune.Gateway.Answers;

namespace ProxyTune.Gateway.Completions;

/// <summary>Writes the answers to a completion request, whole or as a stream.</summary>
internal sealed class CompletionWriter(ModelCall call, AnswerSet answers, CompletionRequest request) : IAnswerWriter
{
    private readonly string id = $"cmpl-{Guid.NewGuid():N}";

    public async Task WriteAsync(HttpResponse response, CancellationToken cancellation)
    {
        IReadOnlyList<WholeAnswer> whole = await answers.CollectAsync(cancellation);
        Completion completion = Event([.. whole.Select(answer => Choice(answer.Index, answer.Text, answer.Tokens, answer.Finish, answer.Trace))]) with { Usage = answers.Usage };
        await response.WriteAsJsonAsync(completion, CompletionsWire.Json.Completion, cancellationToken: cancellation);
    }

    public async Task StreamAsync(EventStream stream, bool includeUsage, CancellationToken cancellation)
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
        new(index, text, request.Logprobs is null ? null : CompletionLogprobs.Of(call.Model.Tokenizer, tokens, request.ReturnTokensAsTokenIds == true), finish) { FusionTrace = TraceWriter.Write(call, tokens, trace) };

    private Completion Event(IReadOnlyList<CompletionChoice> choices) =>
        new(id, call.Created, call.Model.Name, call.Model.Fingerprint, choices) { Fusion = call.Applied?.Values };
}
