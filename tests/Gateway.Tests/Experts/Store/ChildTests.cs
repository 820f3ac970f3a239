using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Text;
using ProxyTune.Gateway.Experts;
using ProxyTune.Testing;
using Xunit.Abstractions;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Tests work that runs in a child process because it may never end.</summary>
public sealed class ChildTests(ITestOutputHelper output) : IDisposable
{
    private const string Endless = "{% for a in range(100000) %}{% for b in range(100000) %}{{ a }}{% endfor %}{% endfor %}";
    private const long Gibi = 1 << 30;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);
    private readonly StoreFolder folder = new();

    [Fact]
    public async Task Commit_GoodModel_RunsInAChildAndIsKept()
    {
        using ExpertStore store = folder.Open(trial: new ChildTrial(TestProgram.Child, new(Patience, 4 * Gibi)).RunAsync);
        long start = Stopwatch.GetTimestamp();
        ExpertRecord added = await StoreFolder.AddAsync(store, "m", HostileModels.Good);
        output.WriteLine($"{Stopwatch.GetElapsedTime(start).TotalMilliseconds:0} ms");
        Assert.Equal(ExpertKind.Model, added.Kind);
        Assert.DoesNotContain(folder.Contents.Keys, file => file.StartsWith("staging", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(Endless, 3.0, 4 * Gibi, "longer than 3 s")]
    [InlineData("{% set x = namespace(s='xxxxxxxx') %}{% for a in range(40) %}{% set x.s = x.s + x.s %}{% endfor %}", 100.0, Gibi / 2, "bad_alloc")]
    public async Task Commit_ModelOverTheLimits_IsStoppedAndLeavesNothing(string template, double seconds, long bytes, string says)
    {
        using ExpertStore store = folder.Open(trial: new ChildTrial(TestProgram.Child, new(TimeSpan.FromSeconds(seconds), bytes)).RunAsync);
        Dictionary<string, byte[]> files = HostileModels.Good;
        files["chat_template.jinja"] = Encoding.UTF8.GetBytes(template);
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => StoreFolder.AddAsync(store, "m", files));
        output.WriteLine(error.Message);
        Assert.Equal(EngineError.InvalidExpert, error.Error);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Contents);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(folder.Path, "staging")));
    }

    [Fact]
    public async Task Commit_ChildRefuses_MessageOmitsItsFolder()
    {
        using ExpertStore store = folder.Open(trial: new ChildTrial(TestProgram.Child, new(Patience, 4 * Gibi)).RunAsync);
        Dictionary<string, byte[]> files = HostileModels.Good;
        files.Remove("tokenizer.json");
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => StoreFolder.AddAsync(store, "m", files));
        Assert.Equal(("'tokenizer.json' is missing.", "tokenizer.json"), (error.Message, error.Field));
    }

    [Fact]
    public async Task Commit_Cancelled_EndsTheChild()
    {
        using ExpertStore store = folder.Open(trial: new ChildTrial(TestProgram.Child, new(Patience, 4 * Gibi)).RunAsync);
        Dictionary<string, byte[]> files = HostileModels.Good;
        files["chat_template.jinja"] = Encoding.UTF8.GetBytes(Endless);
        using ExpertUpload upload = store.Begin();
        foreach ((string name, byte[] content) in files)
        {
            await upload.AddAsync(name, new MemoryStream(content));
        }

        using CancellationTokenSource source = new(TimeSpan.FromSeconds(1));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => upload.CommitAsync("m", source.Token));
    }

    [Fact]
    public void Render_InAWorker_EqualsRenderingInProcess()
    {
        using TemplateWorker worker = new(TestProgram.Child, TemplateWorker.UsualLimits);
        using TinyModel model = TinyModel.Create();
        ChatMessage[] messages = [new("system", "Sei kurz."), new("user", "\"Grüße\"\n{{ 1 }} \u2028")];
        ChatTemplate there = ChatTemplate.TryLoad(model.Folder, worker)!, here = ChatTemplate.Load(model.Folder);
        Assert.Equal(here.Render(messages), there.Render(messages));

        const int Times = 200;
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < Times; i++)
        {
            there.Render(messages);
        }

        TimeSpan far = Stopwatch.GetElapsedTime(start);
        start = Stopwatch.GetTimestamp();
        for (int i = 0; i < Times; i++)
        {
            here.Render(messages);
        }

        output.WriteLine($"{far.TotalMicroseconds / Times:0} us in a worker, {Stopwatch.GetElapsedTime(start).TotalMicroseconds / Times:0} us here");
    }

    [Fact]
    public void Render_EndlessTemplate_IsStoppedAndTheNextRenders()
    {
        using TemplateWorker worker = new(TestProgram.Child, new(TimeSpan.FromSeconds(2), Gibi));
        using TinyModel model = TinyModel.Create();
        ChatTemplate good = ChatTemplate.TryLoad(model.Folder, worker)!;
        File.WriteAllText(Path.Combine(model.Folder, "chat_template.jinja"), Endless);
        ChatTemplate evil = ChatTemplate.TryLoad(model.Folder, worker)!;
        EngineException error = Assert.Throws<EngineException>(() => evil.Render([new("user", "a")]));
        Assert.Equal((EngineError.InvalidValue, "messages"), (error.Error, error.Field));
        Assert.Contains("longer than 2 s", error.Message, StringComparison.Ordinal);
        Assert.Equal(ChatTemplate.Parse(good.Source, model.Folder).Render([new("user", "a")]), good.Render([new("user", "a")]));
    }

    /// <summary>A template at the limit of its time, for which several requests wait, delays no other template.</summary>
    [Fact]
    public async Task Render_SlowTemplate_DelaysNoOther()
    {
        using TemplateWorker worker = new(TestProgram.Child, new(TimeSpan.FromSeconds(2), Gibi));
        using TinyModel model = TinyModel.Create();
        ChatTemplate good = ChatTemplate.TryLoad(model.Folder, worker)!;
        good.Render([new("user", "a")]);
        File.WriteAllText(Path.Combine(model.Folder, "chat_template.jinja"), Endless);
        ChatTemplate slow = ChatTemplate.TryLoad(model.Folder, worker)!;
        Task<EngineException>[] waiting = [.. Enumerable.Range(0, 40).Select(_ => Task.Factory.StartNew(() => Assert.Throws<EngineException>(() => slow.Render([new("user", "a")])), TaskCreationOptions.LongRunning))];
        await Task.WhenAny(waiting);

        // Of 40 requests, one is rendered, 16 wait and the others are refused at once.
        Assert.Equal(40 - 1 - TemplateWorker.MaxWaiting, waiting.Count(one => one.IsCompleted && one.Result.Error == EngineError.QueueFull));
        long start = Stopwatch.GetTimestamp();
        good.Render([new("user", "a")]);
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 0, 1);
        worker.Dispose();
        await Task.WhenAll(waiting).ContinueWith(_ => { }, TaskScheduler.Default);
    }

    /// <summary>A busy child does not read its input, so it watches its parent.</summary>
    [Fact]
    public async Task Start_ParentIsKilled_BusyChildEnds()
    {
        string fifo = Path.Combine(folder.Path + "-fifo");
        string script = $"mkfifo '{fifo}'; exec 3<>'{fifo}'; PROXYTUNE_CHILD_PARENT=$$ PROXYTUNE_CHILD_BYTES={Gibi} \"$@\" <&3 >/dev/null & echo $!; wait";
        using Process parent = Process.Start(new ProcessStartInfo("bash", ["-c", script, "bash", TestProgram.Child.File, .. TestProgram.Child.Arguments, "render-templates"]) { RedirectStandardOutput = true })!;
        int child = int.Parse((await parent.StandardOutput.ReadLineAsync())!, CultureInfo.InvariantCulture);
        string request = JsonSerializer.Serialize(new { Begin = "", End = "", Template = Endless, Messages = "[]", AddGenerationPrompt = false });
        await File.AppendAllTextAsync(fifo, request + "\n");
        using Process running = Process.GetProcessById(child);
        while (running.TotalProcessorTime < TimeSpan.FromSeconds(1))
        {
            Assert.False(running.HasExited);
            await Task.Delay(50);
            running.Refresh();
        }

        parent.Kill();
        await parent.WaitForExitAsync();
        File.Delete(fifo);
        using CancellationTokenSource patience = new(TimeSpan.FromSeconds(20));
        while (Directory.Exists($"/proc/{child}") && !File.ReadAllText($"/proc/{child}/stat").Contains(") Z ", StringComparison.Ordinal))
        {
            await Task.Delay(20, patience.Token);
        }
    }

    public void Dispose() => folder.Dispose();
}
