using System.IO.Compression;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Tests uploads over HTTP. Each test has its own server.</summary>
public sealed class ExpertUploadTests : IAsyncLifetime
{
    private readonly RunningGateway gateway = new(null, "--MaxBodyBytes", "1000");
    private Dictionary<string, byte[]> patch = [];

    private string Store => gateway.Family.PathOf("experts");

    public async Task InitializeAsync()
    {
        await gateway.InitializeAsync();
        string folder = gateway.Family.PathOf("patches", "p");
        TinyPatch.Write(folder, gateway.Family.PathOf(TinyFamily.Base), 1, TinyPatch.Modules);
        patch = Directory.EnumerateFiles(folder).ToDictionary(file => Path.GetFileName(file), File.ReadAllBytes);
    }

    public Task DisposeAsync() => gateway.DisposeAsync();

    [Fact]
    public async Task Upload_AsParts_IsListedAndDeleted()
    {
        JsonElement added = await AnswerAsync(HttpStatusCode.Created, await UploadAsync(("id", "mine"), [.. patch.Select(file => (file.Key, file.Value))]));
        Assert.Equal(("mine", "patch"), (added.GetProperty("id").GetString(), added.GetProperty("kind").GetString()));
        Assert.Equal(patch.Sum(file => file.Value.Length), added.GetProperty("bytes").GetInt64());
        Assert.Equal(patch.Keys.Order(), added.GetProperty("files").EnumerateObject().Select(file => file.Name).Order());

        JsonElement list = await gateway.Http.GetFromJsonAsync<JsonElement>("/v1/experts");
        Assert.Equal("mine", Assert.Single(list.GetProperty("data").EnumerateArray()).GetProperty("id").GetString());
        JsonElement one = await gateway.Http.GetFromJsonAsync<JsonElement>("/v1/experts/mine");
        Assert.Contains(TinyFamily.Base, one.GetProperty("fits").EnumerateArray().Select(fit => fit.GetProperty("base").GetString()));

        Assert.Equal(HttpStatusCode.OK, (await gateway.Http.DeleteAsync(new Uri("/v1/experts/mine", UriKind.Relative))).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await gateway.Http.GetAsync(new Uri("/v1/experts/mine", UriKind.Relative))).StatusCode);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(Store, "content")));
    }

    [Fact]
    public async Task Upload_AsAnArchive_GivesTheSameRecord()
    {
        MemoryStream stream = new();
        using (ZipArchive archive = new(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach ((string name, byte[] content) in patch)
            {
                using Stream entry = archive.CreateEntry($"folder/{name}").Open();
                entry.Write(content);
            }
        }

        JsonElement parts = await AnswerAsync(HttpStatusCode.Created, await UploadAsync(("id", "parts"), [.. patch.Select(file => (file.Key, file.Value))]));
        JsonElement zipped = await AnswerAsync(HttpStatusCode.Created, await UploadAsync(("id", "zipped"), ("p.zip", stream.ToArray())));
        Assert.Equal(parts.GetProperty("content").GetString(), zipped.GetProperty("content").GetString());
    }

    [Fact]
    public async Task Upload_BlobInTwoPieces_ContinuesAtItsOffset()
    {
        byte[] weights = patch["adapter_model.safetensors"];
        string hash = Convert.ToHexStringLower(SHA256.HashData(weights)), url = $"/v1/experts/blobs/{hash}";
        Assert.Equal(HttpStatusCode.NotFound, (await HeadAsync(url)).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await PatchAsync(url, 0, weights.Length, weights[..5000])).StatusCode);
        Assert.Equal("5000", (await HeadAsync(url)).Headers.GetValues("Upload-Offset").Single());
        Assert.Equal(HttpStatusCode.Conflict, (await PatchAsync(url, 4000, weights.Length, weights[4000..])).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await PatchAsync(url, 5000, weights.Length, weights[5000..])).StatusCode);

        using MultipartFormDataContent form = new()
        {
            { new StringContent($"adapter_model.safetensors=sha256:{hash}"), "blob" },
            { new ByteArrayContent(patch["adapter_config.json"]), "file", "adapter_config.json" },
            { new StringContent("mine"), "id" },
        };
        JsonElement added = await AnswerAsync(HttpStatusCode.Created, await gateway.Http.PostAsync(new Uri("/v1/experts", UriKind.Relative), form));
        Assert.Equal(hash, added.GetProperty("files").GetProperty("adapter_model.safetensors").GetString());
        Assert.Equal(HttpStatusCode.NotFound, (await HeadAsync(url)).StatusCode);
    }

    [Fact]
    public async Task Upload_Model_IsCheckedInAChildAndServedWithItsTemplate()
    {
        (string, byte[])[] files = [.. Directory.EnumerateFiles(gateway.Family.PathOf(TinyFamily.Base)).Select(file => (Path.GetFileName(file), File.ReadAllBytes(file)))];
        JsonElement added = await AnswerAsync(HttpStatusCode.Created, await UploadAsync(("id", "mine"), files));
        Assert.Equal("model", added.GetProperty("kind").GetString());
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(Store, "staging")));

        await gateway.AnswerAsync("/v1/experts/mine/serve", new { });
        object Ask(string model) => new { model, temperature = 0, max_tokens = 8, messages = new[] { new { role = "user", content = "Hello" } } };
        Assert.Equal(await TextAsync(Ask(TinyFamily.Plain)), await TextAsync(Ask("mine")));
    }

    [Fact]
    public async Task Upload_ModelWithAHostileTokenizer_IsRefusedByTheChild()
    {
        Dictionary<string, byte[]> files = Directory.EnumerateFiles(gateway.Family.PathOf(TinyFamily.Base)).ToDictionary(file => Path.GetFileName(file), File.ReadAllBytes);
        files["tokenizer.json"] = """{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a+)+$"} } }"""u8.ToArray();
        JsonElement error = (await AnswerAsync(HttpStatusCode.BadRequest, await UploadAsync(("id", "mine"), [.. files.Select(file => (file.Key, file.Value))]))).GetProperty("error");
        Assert.Equal(("invalid_expert", "tokenizer.json"), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
        Assert.Contains("(a+)+$", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(Store, "staging")));
    }

    [Fact]
    public async Task Upload_WithARefusedFile_NamesItAndLeavesNothing()
    {
        using HttpResponseMessage answer = await UploadAsync(("id", "mine"), ("adapter_model.bin", [1, 2, 3]));
        JsonElement error = (await AnswerAsync(HttpStatusCode.BadRequest, answer)).GetProperty("error");
        Assert.Equal(("invalid_expert", "adapter_model.bin"), (error.GetProperty("code").GetString(), error.GetProperty("param").GetString()));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(Store, "staging")));
    }

    [Theory]
    [InlineData("--b\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\nx", "broke off", "cannot be read")]
    [InlineData("--b\r\nContent-Disposition: attachment\r\n\r\nx\r\n--b--\r\n", "attachment", "attachment")]
    [InlineData("--b\r\nContent-Disposition: form-data; name=\"what\"\r\n\r\nx\r\n--b--\r\n", "what", "what")]
    [InlineData("--b\r\nContent-Disposition: form-data; name=\"blob\"\r\n\r\nx\r\n--b--\r\n", "NAME=sha256:HASH", "NAME=sha256:HASH")]
    [InlineData("--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"adapter_config.json\"\r\n\r\n{", "broke off", "cannot be read")]
    public async Task Upload_BrokenForm_Returns400(string form, string says, string otherwise)
    {
        using StringContent body = new(form);
        body.Headers.ContentType = new("multipart/form-data") { Parameters = { new("boundary", "b") } };
        using HttpResponseMessage answer = await gateway.Http.PostAsync(new Uri("/v1/experts", UriKind.Relative), body);
        string message = (await AnswerAsync(HttpStatusCode.BadRequest, answer)).GetProperty("error").GetProperty("message").GetString()!;
        Assert.True(message.Contains(says, StringComparison.Ordinal) || message.Contains(otherwise, StringComparison.Ordinal), message);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(Store, "staging")));
    }

    [Fact]
    public async Task Upload_OverTheSizeLimit_Returns413()
    {
        RunningGateway small = new(null, "--Experts:MaxUploadBytes", "4096");
        await small.InitializeAsync();
        using MultipartFormDataContent form = new() { { new ByteArrayContent(patch["adapter_model.safetensors"]), "file", "adapter_model.safetensors" } };
        JsonElement error = (await AnswerAsync(HttpStatusCode.RequestEntityTooLarge, await small.Http.PostAsync(new Uri("/v1/experts", UriKind.Relative), form))).GetProperty("error");
        Assert.Equal("upload_too_large", error.GetProperty("code").GetString());
        Assert.Contains("Experts:MaxUploadBytes", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        await small.DisposeAsync();
    }

    [Fact]
    public async Task Experts_WithoutTheKey_Return403()
    {
        RunningGateway guarded = new(null, "--Operator:Key", "sesame");
        await guarded.InitializeAsync();
        foreach ((HttpMethod method, string path) in new[]
        {
            (HttpMethod.Post, "/v1/experts"), (HttpMethod.Get, "/v1/experts"), (HttpMethod.Get, "/v1/experts/a"), (HttpMethod.Delete, "/v1/experts/a"),
            (HttpMethod.Head, $"/v1/experts/blobs/{new string('0', 64)}"), (HttpMethod.Patch, $"/v1/experts/blobs/{new string('0', 64)}"),
        })
        {
            using HttpRequestMessage request = new(method, path);
            Assert.Equal(HttpStatusCode.Forbidden, (await guarded.Http.SendAsync(request)).StatusCode);
        }

        Assert.False(Directory.Exists(guarded.Family.PathOf("experts")));
        await guarded.DisposeAsync();
    }

    private async Task<string?> TextAsync(object request) =>
        (await gateway.AnswerAsync("/v1/chat/completions", request)).GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString();

    private async Task<HttpResponseMessage> UploadAsync((string Name, string Value) field, params (string Name, byte[] Content)[] files)
    {
        using MultipartFormDataContent form = new() { { new StringContent(field.Value), field.Name } };
        foreach ((string name, byte[] content) in files)
        {
            form.Add(new ByteArrayContent(content), "file", name);
        }

        return await gateway.Http.PostAsync(new Uri("/v1/experts", UriKind.Relative), form);
    }

    private async Task<HttpResponseMessage> HeadAsync(string url)
    {
        using HttpRequestMessage request = new(HttpMethod.Head, url);
        return await gateway.Http.SendAsync(request);
    }

    private async Task<HttpResponseMessage> PatchAsync(string url, long offset, long length, byte[] bytes)
    {
        using HttpRequestMessage request = new(HttpMethod.Patch, url) { Content = new ByteArrayContent(bytes), Headers = { { "Upload-Offset", $"{offset}" }, { "Upload-Length", $"{length}" } } };
        return await gateway.Http.SendAsync(request);
    }

    private static async Task<JsonElement> AnswerAsync(HttpStatusCode status, HttpResponseMessage answer)
    {
        string text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == status, $"{answer.StatusCode}: {text}");
        return JsonDocument.Parse(text).RootElement;
    }
}
