using ProxyTune.Gateway.Answers;

namespace ProxyTune.Gateway.Chat;

/// <summary>Writes the answers to a chat request, whole or as a stream of chunks.</summary>
/// <param name="logprobs">Whether log-probabilities are written.</param>
internal sealed class ChatWriter(ModelCall call, AnswerSet answers, bool logprobs) : IAnswerWriter
{
    private readonly string id = $"chatcmpl-{Guid.NewGuid():N}";

    public async Task WriteAsync(HttpResponse response, CancellationToken cancellation)
    {
        IReadOnlyList<WholeAnswer> whole = await answers.CollectAsync(cancellation);
        ChatCompletion completion = new(id, call.Created, call.Model.Name, call.Model.Fingerprint, [.. whole.Select(Choice)], answers.Usage) { Fusion = call.Applied?.Values };
        await response.WriteAsJsonAsync(completion, ChatWire.Json.ChatCompletion, cancellationToken: cancellation);
    }

    public async Task StreamAsync(EventStream stream, bool includeUsage, CancellationToken cancellation)
    {
        foreach (Answer answer in answers.Answers)
        {
            ChunkDelta role = new() { Role = "assistant", Content = "" };
            await stream.SendAsync(
                Chunk([new ChunkChoice(answer.Index, role, null, null)]) with { Fusion = call.Applied?.Values }, ChatWire.Json.ChatCompletionChunk);
        }

        await foreach ((Answer answer, AnswerDelta delta) in answers.ReadAsync(cancellation))
        {
            if (delta.Text.Length > 0 || delta.Tokens.Count > 0)
            {
                await SendAsync(stream, new(answer.Index, new ChunkDelta { Content = delta.Text }, Logprobs(delta.Tokens), null) { FusionTrace = Trace(delta.Tokens, null) });
            }

            if (delta.Finish is not null)
            {
                await SendAsync(stream, new(answer.Index, new ChunkDelta(), null, delta.Finish) { FusionTrace = Trace([], delta.Trace) });
            }
        }

        if (includeUsage)
        {
            await stream.SendAsync(Chunk([]) with { Usage = answers.Usage }, ChatWire.Json.ChatCompletionChunk);
        }
    }

    private ChatChoice Choice(WholeAnswer answer) =>
        new(answer.Index, new AnswerMessage(answer.Text), Logprobs(answer.Tokens), answer.Finish) { FusionTrace = Trace(answer.Tokens, answer.Trace) };

    private Task SendAsync(EventStream stream, ChunkChoice choice) => stream.SendAsync(Chunk([choice]), ChatWire.Json.ChatCompletionChunk);

    private ChatCompletionChunk Chunk(IReadOnlyList<ChunkChoice> choices) =>
        new(id, call.Created, call.Model.Name, call.Model.Fingerprint, choices);

    private FusionTrace? Trace(IReadOnlyList<AnswerToken> tokens, TraceSummary? summary) => TraceWriter.Write(call, tokens, summary);

    private ChatLogprobs? Logprobs(IReadOnlyList<AnswerToken> tokens) =>
        logprobs ? ChatLogprobs.Of(call.Model.Tokenizer, tokens) : null;
}
