using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;
using OpenAI.Chat;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Clients;

/// <summary>The official NuGet client, unmodified.</summary>
[Collection(GatewayCollection.Name)]
public class NuGetClientTests(RunningGateway gateway)
{
    private static readonly ChatMessage[] Messages = [new SystemChatMessage("Be brief."), new UserChatMessage("Where?")];

    [Fact]
    public async Task CompleteChat_Question_GivesTextUsageAndFinishReason()
    {
        ChatCompletion answer = await Client(TinyFamily.Fused).CompleteChatAsync(Messages, Options(12, includeLogprobs: true));

        Assert.Equal(ChatFinishReason.Length, answer.FinishReason);
        Assert.Equal(12, answer.Usage.OutputTokenCount);
        Assert.Equal(12, answer.ContentTokenLogProbabilities.Count);
        Assert.StartsWith("fp_", Fingerprint(answer), StringComparison.Ordinal);
    }

    [Fact]
    public async Task CompleteChatStreaming_Question_EqualsTheWholeAnswer()
    {
        ChatCompletion whole = await Client(TinyFamily.Fused).CompleteChatAsync(Messages, Options(20));
        string text = "";
        ChatFinishReason? finish = null;
        ChatTokenUsage? usage = null;
        await foreach (StreamingChatCompletionUpdate update in Client(TinyFamily.Fused).CompleteChatStreamingAsync(Messages, Options(20)))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            finish = update.FinishReason ?? finish;
            usage = update.Usage ?? usage;
        }

        Assert.Equal(whole.Content[0].Text, text);
        Assert.Equal(whole.FinishReason, finish);
        Assert.Equal(whole.Usage.TotalTokenCount, usage?.TotalTokenCount);
    }

    [Fact]
    public async Task CompleteChat_ModelNameSuffixAndPatch_ApplyTheSameFusion()
    {
        ChatCompletion bySuffix = await Client($"{TinyFamily.Fused}@0.5").CompleteChatAsync(Messages, Options(20));
        ChatCompletionOptions options = Options(20);
#pragma warning disable SCME0001 // Patch is how this client sends fields of its own.
        options.Patch.Set("$.fusion"u8, BinaryData.FromString("""{"alpha":0.5}"""));
#pragma warning restore SCME0001
        ChatCompletion byPatch = await Client(TinyFamily.Fused).CompleteChatAsync(Messages, options);
        ChatCompletion usual = await Client(TinyFamily.Fused).CompleteChatAsync(Messages, Options(20));

        Assert.Equal(bySuffix.Content[0].Text, byPatch.Content[0].Text);
        Assert.NotEqual(usual.Content[0].Text, byPatch.Content[0].Text);
    }

    [Fact]
    public async Task CompleteChat_UnknownModel_ThrowsWithOurMessage()
    {
        ClientResultException error = await Assert.ThrowsAsync<ClientResultException>(() => Client("nobody").CompleteChatAsync(Messages));

        Assert.Equal(404, error.Status);
        Assert.Contains("There is no model 'nobody'; there are: town-qa", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CompleteChatStreaming_PromptTooLong_ThrowsWithOurMessage()
    {
        ChatMessage[] messages = [new UserChatMessage(new string('x', 500))];
        ClientResultException error = await Assert.ThrowsAsync<ClientResultException>(async () =>
        {
            await foreach (StreamingChatCompletionUpdate _ in Client(TinyFamily.Fused).CompleteChatStreamingAsync(messages))
            {
            }
        });

        Assert.Equal(400, error.Status);
        Assert.Contains("context_length_exceeded", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CompleteChatStreaming_ModelFailsMidway_Throws()
    {
        int steps = 0;
        RunningGateway broken = new(InterceptedModel.Between(() => _ = ++steps < 4 ? 0 : throw new InvalidOperationException("on purpose")));
        await broken.InitializeAsync();
        string text = "";

        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (StreamingChatCompletionUpdate update in Client(TinyFamily.Fused, broken).CompleteChatStreamingAsync(Messages, Options(20)))
            {
                text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            }
        });

        Assert.NotEmpty(text);
        await broken.DisposeAsync();
    }

    private static ChatCompletionOptions Options(int maxTokens, bool includeLogprobs = false)
    {
#pragma warning disable OPENAI001 // Seed is marked as experimental in the client.
        return new ChatCompletionOptions { MaxOutputTokenCount = maxTokens, Seed = 7, IncludeLogProbabilities = includeLogprobs ? true : null };
#pragma warning restore OPENAI001
    }

    private static string Fingerprint(ChatCompletion answer) => answer.SystemFingerprint;

    private ChatClient Client(string model) => Client(model, gateway);

    private static ChatClient Client(string model, RunningGateway gateway) => new(
        model,
        new ApiKeyCredential("unused"),
        new OpenAIClientOptions { Endpoint = new Uri(gateway.Http.BaseAddress!, "v1"), RetryPolicy = new ClientRetryPolicy(0) });
}
