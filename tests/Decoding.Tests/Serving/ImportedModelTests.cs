using System.Text.Json;
using ProxyTune.Checkpoints.Import;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Tests.Generation;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Serving;

/// <summary>
/// A real model from a GGUF file: tokens, chat template and greedy texts, compared with transformers. The case is a folder <c>smollm2</c> with one .gguf file and prompts.jsonl.
/// </summary>
public sealed class ImportedModelTests : IDisposable
{
    // Where the two likeliest tokens are this close, another order of sums may choose the other.
    private const double Margin = 0.01;

    private readonly string folder = Directory.CreateTempSubdirectory("real-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [SkippableFact]
    public async Task Import_RealGguf_GivesTheReferencesTokensAndGreedyTexts()
    {
        string? data = SharedData.Folder("smollm2");
        Skip.If(data is null || !File.Exists(Path.Combine(data, "prompts.jsonl")), "There is no real model in the reference data.");
        string imported = ModelImport.IntoCache(Assert.Single(ModelSource.Find(data!)), folder, "fp32");
        JsonElement[] prompts = [.. File.ReadLines(Path.Combine(data!, "prompts.jsonl")).Select(line => JsonElement.Parse(line))];
        using Tokenizer tokenizer = Tokenizer.Load(imported);
        ChatTemplate template = ChatTemplate.Load(imported);
        Assert.All(prompts, prompt => Assert.Equal(Ids(prompt, "ids"), tokenizer.EncodeRendered(prompt.GetProperty("text").GetString()!)));
        Assert.All(
            prompts.Where(prompt => prompt.TryGetProperty("messages", out JsonElement messages) && messages.ValueKind == JsonValueKind.Array),
            prompt => Assert.Equal(prompt.GetProperty("text").GetString(), template.Render([.. prompt.GetProperty("messages").EnumerateArray()
                .Select(message => new ChatMessage(message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()!))])));

        using OnnxLanguageModel model = OnnxLanguageModel.Load(imported, new());
        await using DecodeScheduler scheduler = new(model, new() { MaxRunning = prompts.Length });
        List<GeneratedToken>[] answers = await Task.WhenAll(prompts.Select(prompt =>
            Answers.Collect(scheduler, Answers.Greedy(model, Ids(prompt, "ids"), Ids(prompt, "greedy").Length) with { IgnoreEndOfText = true })));

        foreach ((JsonElement prompt, List<GeneratedToken> answer) in prompts.Zip(answers))
        {
            int[] expected = Ids(prompt, "greedy"), given = [.. answer.Select(token => token.Id)];
            Assert.Equal(expected.Length, given.Length);
            int same = expected.Zip(given).TakeWhile(pair => pair.First == pair.Second).Count();
            Assert.True(same == expected.Length || prompt.GetProperty("margin")[same].GetDouble() < Margin, $"{prompt.GetProperty("id")}: token {same} is {given.ElementAtOrDefault(same)}, and {expected.ElementAtOrDefault(same)} is expected.");
        }
    }

    private static int[] Ids(JsonElement prompt, string name) => [.. prompt.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
}
