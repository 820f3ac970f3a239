using System.ClientModel;
using System.Collections.Concurrent;
using OpenAI;
using OpenAI.Chat;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Evaluation;

/// <summary>Asks a model behind an OpenAI-compatible API questions over HTTP.</summary>
/// <param name="url">The base URL of the API, such as <c>http://127.0.0.1:5000/v1</c>.</param>
/// <param name="key">The API key; null or empty if the server needs none.</param>
internal sealed class RemoteExaminee(Uri url, string? key)
{
    /// <summary>Enough requests to fill the server's batches, and fewer than its waiting queue holds.</summary>
    private const int MaxConcurrentRequests = 16;

    // The client requires a key. Servers without keys ignore it.
    private const string NoKey = "none";

    private readonly OpenAIClientOptions options = new() { Endpoint = url };

    /// <summary>Answers questions with greedy decoding. The client retries after transient errors such as a full queue or a broken connection.</summary>
    /// <param name="served">The server's name of the model.</param>
    /// <param name="fusion">A JSON object for the field <c>fusion</c> of the request, or null.</param>
    /// <exception cref="TrainingException">The server cannot be reached or does not answer with a completion; names URL, model and the server's message.</exception>
    public async Task<IReadOnlyList<Answer>> AnswerAsync(IReadOnlyList<Example> questions, string served, string? fusion, CancellationToken cancellation)
    {
        ChatClient client = new(served, new ApiKeyCredential(string.IsNullOrEmpty(key) ? NoKey : key), options);
        ConcurrentDictionary<int, Answer> answers = new();
        try
        {
            await Parallel.ForEachAsync(questions.Index(), new ParallelOptions { MaxDegreeOfParallelism = MaxConcurrentRequests, CancellationToken = cancellation }, async (question, stop) =>
            {
                ChatCompletion answer = await client.CompleteChatAsync(question.Item.Messages.Select(Message), Options(fusion), stop);
                answers[question.Index] = new(string.Concat(answer.Content.Select(part => part.Text)).Trim(), answer.FinishReason == ChatFinishReason.Length);
            });
        }
        catch (Exception error) when (error is ClientResultException or HttpRequestException or AggregateException or InvalidOperationException)
        {
            Exception cause = (error as AggregateException)?.InnerExceptions[^1] ?? error;
            throw new TrainingException($"'{served}' at {url}: {cause.Message.ReplaceLineEndings(" ")}", error);
        }

        return [.. questions.Select((_, i) => answers[i])];
    }

    private static ChatCompletionOptions Options(string? fusion)
    {
        ChatCompletionOptions options = new() { Temperature = 0, MaxOutputTokenCount = Examinee.MaxAnswerTokens };
        if (fusion is not null)
        {
#pragma warning disable SCME0001 // The only way of this client to send a field that is not OpenAI's.
            options.Patch.Set("$.fusion"u8, BinaryData.FromString(fusion));
#pragma warning restore SCME0001
        }

        return options;
    }

    private static ChatMessage Message(Decoding.Text.ChatMessage message) => message.Role switch
    {
        "system" => new SystemChatMessage(message.Content) { ParticipantName = message.Name },
        "assistant" => new AssistantChatMessage(message.Content) { ParticipantName = message.Name },
        "user" => new UserChatMessage(message.Content) { ParticipantName = message.Name },
        var role => throw new TrainingException($"A question has a message of role '{role}'; over HTTP accepted are system, user and assistant."),
    };
}
