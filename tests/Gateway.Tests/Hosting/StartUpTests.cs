using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using ProxyTune.Gateway.Hosting;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Hosting;

/// <summary>Checks that a failed start ends the process with status 1 and one line on standard error.</summary>
public class StartUpTests
{
    [Theory]
    [InlineData("empty", "nothing to serve")]
    [InlineData("nowhere", "does not exist")]
    [InlineData("base", "model.onnx")]
    public async Task Main_WrongFolder_ExitsWith1AndOneLine(string kind, string words)
    {
        using TinyFamily family = new();
        string folder = family.PathOf(kind);
        if (kind == "empty")
        {
            Directory.CreateDirectory(folder);
        }
        else if (kind == "base")
        {
            File.WriteAllText(family.PathOf("base", "model.onnx"), "no graph");
        }

        await AssertStopsAsync(words, "--models", folder);
    }

    [Theory]
    [InlineData("--engine:executionprovider", "abacus", "'abacus'")]
    [InlineData("--engine:executionprovider", "cuda", "'cuda' is not available")]
    [InlineData("--scheduler:maxwaiting", "many", "MaxWaiting")]
    [InlineData("--scheduler:maxrunning", "0", "MaxRunning is 0")]
    [InlineData("--scheduler:maxdraft", "65", "MaxDraft is 65; it must be from 0 to 64")]
    [InlineData("--engine:threads", "100000", "Threads is 100000; it must be from 0 to 1024")]
    [InlineData("--scheduler:workers", "0", "Workers is 0; it must be from 1 to 1024")]
    [InlineData("--scheduler:prompttokensperstep", "0", "PromptTokensPerStep is 0")]
    [InlineData("--engine:keyvaluebytes", "0", "KeyValueBytes is 0")]
    [InlineData("--engine:keyvaluebytes", "1000", "may take 81920 bytes: 128 tokens x 640 bytes ('base')")]
    [InlineData("--engine:keyvaluebytes", "100000", "one context of 'town-qa' may take 245760 bytes: 128 tokens x 640 bytes ('base') + 128 tokens x 640 bytes ('small-qa') + 128 tokens x 640 bytes ('small')")]
    [InlineData("--models", "nowhere", "nowhere does not exist")]
    [InlineData("--urls", "nonsense", "nonsense")]
    public async Task Main_WrongSetting_ExitsWith1AndOneLine(string name, string value, string words)
    {
        using TinyFamily family = new();

        await AssertStopsAsync(words, "--models", family.Folder, name, value);
    }

    [Fact]
    public async Task Main_PortInUse_ExitsWith1AndOneLine()
    {
        using TinyFamily family = new();
        using TcpListener taken = new(IPAddress.Loopback, 0);
        taken.Start();

        await AssertStopsAsync("address already in use", "--models", family.Folder, "--urls", $"http://{taken.LocalEndpoint}");
    }

    /// <summary>The runtime alone would fail in other words.</summary>
    [Fact]
    public async Task Main_TooFewFileHandles_SaysSoInOneSentence()
    {
        using Process server = Process.Start(new ProcessStartInfo("bash", ["-c", "ulimit -n 150; exec dotnet \"$0\"", typeof(Program).Assembly.Location]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        string error = await server.StandardError.ReadToEndAsync();
        await server.WaitForExitAsync();
        Assert.Equal((1, "proxytune: a process may open 150 files here, and the server needs at least 512; raise the limit (ulimit -n).\n"), (server.ExitCode, error));
    }

    /// <summary>Where memory is too little depends on the moment, so the sentence is tested alone.</summary>
    [Fact]
    public void Describe_LibraryFindsNoMemory_NamesCauseAndMemoryInOneLine()
    {
        string sentence = ProcessLimits.Describe(new TypeInitializationException("NativeMethods", new DllNotFoundException("Unable to load shared library 'onnxruntime'.\nTried paths: ...")));
        Assert.Matches("^the server cannot start: Unable to load shared library 'onnxruntime'\\. It may use [0-9]+ MiB of memory [^\n]*$", sentence);
    }

    private static async Task AssertStopsAsync(string words, params string[] arguments)
    {
        ProcessStartInfo command = new("dotnet", [typeof(Program).Assembly.Location, "--urls", "http://127.0.0.1:0", .. arguments])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        using Process server = Process.Start(command)!;
        using CancellationTokenSource patience = new(TimeSpan.FromMinutes(1));
        await using CancellationTokenRegistration kill = patience.Token.Register(server.Kill);
        Task<string> log = server.StandardOutput.ReadToEndAsync();
        string error = await server.StandardError.ReadToEndAsync();
        await server.WaitForExitAsync();

        Assert.Equal(1, server.ExitCode);
        Assert.StartsWith("proxytune: ", error, StringComparison.Ordinal);
        Assert.Contains(words, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error + await log, StringComparison.Ordinal);
    }
}
