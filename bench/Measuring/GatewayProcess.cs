using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace ProxyTune.Measuring;

/// <summary>A gateway in its own process, from the build of the same configuration as this program.</summary>
public sealed class GatewayProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly Process process;

    private GatewayProcess(Process process, Uri address)
    {
        this.process = process;
        Http.BaseAddress = address;
    }

    public HttpClient Http { get; } = new();

    /// <summary>Time from the start of the process to the first 200 from /readyz.</summary>
    public TimeSpan ColdStart { get; private set; }

    /// <summary>Resident memory in MiB.</summary>
    public double Resident => Read(p => p.WorkingSet64);

    /// <summary>Peak resident memory so far, in MiB.</summary>
    public double PeakResident => Read(p => p.PeakWorkingSet64);

    /// <summary>The number of open files and sockets (Linux).</summary>
    public int OpenFiles => Directory.GetFileSystemEntries($"/proc/{process.Id}/fd").Length;

    public static async Task<GatewayProcess> StartAsync(string models, params string[] settings)
    {
        // artifacts/bin/PROJECT/CONFIGURATION
        DirectoryInfo mine = new(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        string program = Path.Combine(mine.Parent!.Parent!.FullName, "Gateway", mine.Name, "ProxyTune.Gateway.dll");
        Uri address = new($"http://127.0.0.1:{FreePort()}");
        long start = Stopwatch.GetTimestamp();
        Process process = Process.Start(new ProcessStartInfo("dotnet", [program, "--models", models, "--urls", address.ToString(), .. settings])
        {
            RedirectStandardOutput = true,
        })!;

        // The output is read and dropped because the server would block on a full pipe.
        process.OutputDataReceived += static (_, _) => { };
        process.BeginOutputReadLine();
        GatewayProcess gateway = new(process, address);
        while (!await gateway.IsReadyAsync())
        {
            if (process.HasExited || Stopwatch.GetElapsedTime(start) > Patience)
            {
                await gateway.DisposeAsync();
                throw new InvalidOperationException($"{program} did not become ready.");
            }

            await Task.Delay(5);
        }

        gateway.ColdStart = Stopwatch.GetElapsedTime(start);
        return gateway;
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (!process.HasExited)
        {
            process.Kill();
            await process.WaitForExitAsync();
        }

        process.Dispose();
    }

    private async Task<bool> IsReadyAsync()
    {
        try
        {
            using HttpResponseMessage response = await Http.GetAsync("/readyz");
            return response.StatusCode == HttpStatusCode.OK;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }

    private double Read(Func<Process, long> bytes)
    {
        process.Refresh();
        return bytes(process) / (double)(1 << 20);
    }

    private static int FreePort()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
