using System.Diagnostics;
using System.Globalization;
using System.Text;
using ProxyTune.Checkpoints;
using ProxyTune.Gateway.Experts;
using Xunit.Abstractions;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Tests work that runs in a child process because it may never end.</summary>
public sealed class ChildTests(ITestOutputHelper output) : IDisposable
{
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
    [InlineData("sleep 100", 1.0, 4 * Gibi, "longer than 1 s")]
    [InlineData("ulimit -v 2000000; exec tail /dev/zero", 100.0, Gibi / 16, "bytes of memory")]
    public async Task Commit_CheckOverTheLimits_IsStoppedAndLeavesNothing(string command, double seconds, long bytes, string says)
    {
        ChildProgram program = new("/bin/sh", ["-c", command]);
        using ExpertStore store = folder.Open(trial: new ChildTrial(program, new(TimeSpan.FromSeconds(seconds), bytes)).RunAsync);
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => StoreFolder.AddAsync(store, "m", HostileModels.Good));
        output.WriteLine(error.Message);
        Assert.Equal(EngineError.InvalidExpert, error.Error);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Contents);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(folder.Path, "staging")));
    }

    [Theory]
    [InlineData("{% for a in range(100000) %}{% for b in range(100000) %}{{ a }}{% endfor %}{% endfor %}", "steps")]
    [InlineData("{% set x = namespace(s='xxxxxxxx') %}{% for a in range(40) %}{% set x.s = x.s + x.s %}{% endfor %}", "MiB of texts")]
    [InlineData("{{ messages | nosuch }}", "nosuch")]
    public async Task Commit_ModelWithAHostileTemplate_IsRefused(string template, string says)
    {
        using ExpertStore store = folder.Open(trial: new ChildTrial(TestProgram.Child, new(Patience, 4 * Gibi)).RunAsync);
        Dictionary<string, byte[]> files = HostileModels.Good;
        files["chat_template.jinja"] = Encoding.UTF8.GetBytes(template);
        EngineException error = await Assert.ThrowsAsync<EngineException>(() => StoreFolder.AddAsync(store, "m", files));
        output.WriteLine(error.Message);
        Assert.Equal(EngineError.InvalidExpert, error.Error);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Empty(folder.Contents);
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
        using ExpertStore store = folder.Open(trial: new ChildTrial(new("/bin/sh", ["-c", "sleep 100"]), new(Patience, 4 * Gibi)).RunAsync);
        using ExpertUpload upload = store.Begin();
        foreach ((string name, byte[] content) in HostileModels.Good)
        {
            await upload.AddAsync(name, new MemoryStream(content));
        }

        using CancellationTokenSource source = new(TimeSpan.FromSeconds(1));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => upload.CommitAsync("m", source.Token));
    }

    /// <summary>A child that hangs does not read its input, so it watches its parent.</summary>
    [Fact]
    public async Task Start_ParentIsKilled_HangingChildEnds()
    {
        // Opening a pipe that nobody writes to never returns, and the child's own input never ends.
        string fifo = folder.Path + "-fifo", model = Directory.CreateDirectory(folder.Path + "-model").FullName;
        string script = $"mkfifo '{fifo}' '{model}/genai_config.json'; exec 3<>'{fifo}'; PROXYTUNE_CHILD_PARENT=$$ PROXYTUNE_CHILD_BYTES={Gibi} \"$@\" <&3 >/dev/null & echo $!; wait";
        using Process parent = Process.Start(new ProcessStartInfo("bash", ["-c", script, "bash", TestProgram.Child.File, .. TestProgram.Child.Arguments, "check-expert", model]) { RedirectStandardOutput = true })!;
        int child = int.Parse((await parent.StandardOutput.ReadLineAsync())!, CultureInfo.InvariantCulture);
        await Task.Delay(TimeSpan.FromSeconds(4));
        Assert.True(Runs(), "The child has not waited.");

        parent.Kill();
        await parent.WaitForExitAsync();
        using CancellationTokenSource patience = new(TimeSpan.FromSeconds(20));
        while (Runs())
        {
            await Task.Delay(20, patience.Token);
        }

        File.Delete(fifo);
        Directory.Delete(model, recursive: true);

        bool Runs() => Directory.Exists($"/proc/{child}") && !File.ReadAllText($"/proc/{child}/stat").Contains(") Z ", StringComparison.Ordinal);
    }

    public void Dispose() => folder.Dispose();
}
