using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Mono.Cecil;
using Mono.Cecil.Cil;
using ProxyTune.Testing;

namespace ProxyTune.Architecture.Tests;

/// <summary>The gateway on the demo models in its own process. It is a copy whose methods record their source file when they run.</summary>
internal sealed class InstrumentedServer : IAsyncDisposable
{
    private static readonly string[] Projects = ["Checkpoints", "Decoding", "Gateway"];
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly string folder = Directory.CreateTempSubdirectory("proxytune-files-").FullName;
    private readonly List<string> files = [];
    private readonly string hits;
    private readonly Process process;

    private InstrumentedServer()
    {
        hits = Path.Combine(folder, "hits");
        Clear();
        string program = Copy();
        foreach (string project in Projects)
        {
            Instrument(Path.Combine(folder, $"ProxyTune.{project}.dll"));
        }

        using TcpListener free = new(IPAddress.Loopback, 0);
        free.Start();
        Http = new() { BaseAddress = new($"http://127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}"), Timeout = Patience };
        free.Stop();
        ProcessStartInfo start = new("dotnet", [program, "--Models", Repository.Models, "--Urls", $"{Http.BaseAddress}", "--Experts:Folder", Path.Combine(folder, "experts")]) { RedirectStandardOutput = true };
        start.Environment[FileHits.Variable] = hits;
        process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
    }

    public HttpClient Http { get; }

    public static async Task<InstrumentedServer> StartAsync()
    {
        InstrumentedServer server = new();
        for (DateTime end = DateTime.UtcNow + Patience; ;)
        {
            try
            {
                using HttpResponseMessage answer = await server.Http.GetAsync(new Uri("/readyz", UriKind.Relative));
                return server;
            }
            catch (HttpRequestException) when (DateTime.UtcNow < end && !server.process.HasExited)
            {
                await Task.Delay(100);
            }
        }
    }

    /// <summary>Clears the record of the source files.</summary>
    public void Clear()
    {
        using FileStream stream = new(hits, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite);
        stream.Write(new byte[FileHits.Capacity]);
    }

    /// <summary>The paths below src of the source files whose code has run since <see cref="Clear"/>.</summary>
    public IReadOnlyList<string> Files()
    {
        using FileStream stream = new(hits, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] seen = new byte[FileHits.Capacity];
        stream.ReadExactly(seen);
        return [.. files.Where((_, index) => seen[index] != 0).Order(StringComparer.Ordinal)];
    }

    public async ValueTask DisposeAsync()
    {
        process.Kill(entireProcessTree: true);
        await process.WaitForExitAsync();
        process.Dispose();
        Http.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    /// <summary>Copies the gateway into the folder.</summary>
    /// <returns>Path of the program to start.</returns>
    private string Copy()
    {
        string source = Output.Of("Gateway");
        foreach (string file in Directory.EnumerateFiles(source).Append(typeof(FileHits).Assembly.Location))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        string natives = Path.Combine(source, "runtimes", RuntimeInformation.RuntimeIdentifier.StartsWith("linux", StringComparison.Ordinal) ? $"linux-{RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant()}" : RuntimeInformation.RuntimeIdentifier, "native");
        foreach (string file in Directory.EnumerateFiles(natives))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        // Without this list, the host loads every assembly and native library from the folder.
        File.Delete(Path.Combine(folder, "ProxyTune.Gateway.deps.json"));
        return Path.Combine(folder, "ProxyTune.Gateway.dll");
    }

    private void Instrument(string path)
    {
        using DefaultAssemblyResolver resolver = new();
        resolver.AddSearchDirectory(folder);
        resolver.AddSearchDirectory(RuntimeEnvironment.GetRuntimeDirectory());
        using ModuleDefinition module = ModuleDefinition.ReadModule(path, new() { ReadSymbols = true, InMemory = true, AssemblyResolver = resolver });
        MethodReference hit = module.ImportReference(typeof(FileHits).GetMethod(nameof(FileHits.Hit)));
        string root = Path.Combine(Repository.Root, "src") + Path.DirectorySeparatorChar;
        foreach (MethodDefinition method in module.GetTypes().SelectMany(type => type.Methods).Where(method => method.HasBody))
        {
            if (method.DebugInformation.SequencePoints.FirstOrDefault(point => !point.IsHidden)?.Document.Url is { } file && file.StartsWith(root, StringComparison.Ordinal))
            {
                ILProcessor body = method.Body.GetILProcessor();
                Instruction first = method.Body.Instructions[0];
                body.InsertBefore(first, body.Create(OpCodes.Ldc_I4, Number(file[root.Length..].Replace('\\', '/'))));
                body.InsertBefore(first, body.Create(OpCodes.Call, hit));
            }
        }

        module.Write(path);
    }

    private int Number(string file)
    {
        int index = files.IndexOf(file);
        if (index < 0)
        {
            index = files.Count;
            files.Add(file);
        }

        return index;
    }
}
