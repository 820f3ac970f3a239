using ProxyTune.Gateway.OpenAI;

namespace ProxyTune.Gateway.Chat;

/// <summary>The answers to a chat request, whole or as a stream of chunks.</summary>
internal sealed class ChatStream(ModelCall call, AnswerSet answers, bool logprobs)
{
    private readonly string id = $"chatcmpl-{Guid.NewGuid():N}";

    public async Task<ChatCompletion> CollectAsync(CancellationToken cancellation)
    {
        IReadOnlyList<WholeAnswer> whole = await answers.CollectAsync(cancellation);
        return new ChatCompletion(
            id,
            call.Created,
            call.Model.Name,
            call.Model.Fingerprint,
            [.. whole.Select(answer => new ChatChoice(answer.Index, new AnswerMessage(answer.Text), Logprobs(answer.Tokens), answer.Finish))],
            answers.Usage)
        {
            Fusion = call.Applied,
        };
    }

    public async Task WriteAsync(EventStream stream, bool includeUsage, CancellationToken cancellation)
    {
        foreach (Answer answer in answers.Answers)
        {
            var role = new ChunkDelta { Role = "assistant", Content = "" };
            await stream.SendAsync(
                Chunk([new ChunkChoice(answer.Index, role, null, null)]) with { Fusion = call.Applied }, Wire.Json.ChatCompletionChunk);
        }

        await foreach ((Answer answer, AnswerDelta delta) in answers.ReadAsync(cancellation))
        {
            if (delta.Text.Length > 0 || delta.Tokens.Count > 0)
            {
                await SendAsync(stream, answer.Index, new ChunkDelta { Content = delta.Text }, Logprobs(delta.Tokens), null);
            }

            if (delta.Finish is not null)
            {
                await SendAsync(stream, answer.Index, new ChunkDelta(), null, delta.Finish);
            }
        }

        if (includeUsage)
        {
            await stream.SendAsync(Chunk([]) with { Usage = answers.Usage }, Wire.Json.ChatCompletionChunk);
        }
    }

    private Task SendAsync(EventStream stream, int index, ChunkDelta delta, ChatLogprobs? tokens, string? finish) =>
        stream.SendAsync(Chunk([new ChunkChoice(index, delta, tokens, finish)]), Wire.Json.ChatCompletionChunk);

    private ChatCompletionChunk Chunk(IReadOnlyList<ChunkChoice> choices) =>
        new(id, call.Created, call.Model.Name, call.Model.Fingerprint, choices);

    private ChatLogprobs? Logprobs(IReadOnlyList<AnswerToken> tokens) =>
        logprobs ? LogprobWriter.Chat(call.Model.Tokenizer, tokens) : null;
}
