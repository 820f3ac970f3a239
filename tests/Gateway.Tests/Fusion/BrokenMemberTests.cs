using System.Text.Json;
using ProxyTune.Gateway.Tests.Endpoints;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Fusion;

/// <summary>Checks that a model with NaN rows fails only the requests that use it.</summary>
public class BrokenMemberTests
{
    private const string Chat = "/v1/chat/completions";

    [Theory]
    [InlineData(null)]
    [InlineData("""{"kind":"nucleus","p":0.5}""")]
    [InlineData("""{"kind":"top_k","k":2}""")]
    public async Task Chat_NaNInOneMember_Returns500NamingItAndServesOthers(string? mask)
    {
        RunningGateway server = new();
        Poison(server.Family.PathOf(TinyFamily.Expert, "model.safetensors"));
        await server.InitializeAsync();
        Dictionary<string, object?> broken = AnswerTests.Question(40);
        broken["fusion"] = mask is null ? null : new { mask = JsonDocument.Parse(mask).RootElement };

        Task<JsonElement>[] sound = [.. Enumerable.Range(0, 3).Select(_ => server.AnswerAsync(Chat, AnswerTests.Question(40, new() { ["model"] = TinyFamily.Plain })))];
        using HttpResponseMessage response = await server.PostAsync(Chat, broken);
        await BadRequestTests.AssertErrorAsync(response, 500, null, "internal_error", [$"'{TinyFamily.Expert}'", "NaN"]);
        broken["model"] = "town-qa@0";
        broken["fusion"] = null;

        Assert.Single((await Task.WhenAll(sound)).Select(AnswerTests.ContentOf).Distinct());
        await server.AnswerAsync(Chat, broken);
        await server.DisposeAsync();
    }

    /// <summary>Makes the last weight of a file NaN.</summary>
    private static void Poison(string weights)
    {
        using FileStream file = File.OpenWrite(weights);
        file.Seek(-sizeof(float), SeekOrigin.End);
        file.Write(BitConverter.GetBytes(float.NaN));
    }
}
