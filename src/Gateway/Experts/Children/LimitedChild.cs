using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace ProxyTune.Gateway.Experts;

/// <summary>What a child may take before it is killed.</summary>
/// <param name="Time">For one answer.</param>
/// <param name="Bytes">Of memory beyond the files that it maps.</param>
public sealed record ChildLimits(TimeSpan Time, long Bytes);

/// <summary>This program again in a process of its own, for what may hang, take all memory or crash: a line in, a line out. One thread at a time.</summary>
/// <remarks>It has no environment of ours, its own temporary folder, and ends when this process does, since its input ends then.</remarks>
internal sealed class LimitedChild : IDisposable
{
    /// <summary>How the child is told its limit of memory, which it sets for itself; see <see cref="ResourceLimits"/>.</summary>
    public const string BytesVariable = "PROXYTUNE_CHILD_BYTES";

    private const int LongestAnswer = 64 << 20, KeptErrors = 2000;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);
    private static readonly string[] Inherited = ["PATH", "LD_LIBRARY_PATH", "DOTNET_ROOT", "SystemRoot"];

    private readonly Process process;
    private readonly ChildLimits limits;
    private readonly DirectoryInfo temporary;
    private readonly StringBuilder errors = new();
    private string? killed;

    /// <param name="temporary">A folder for what the child writes meanwhile; made here, and removed with it.</param>
    public LimitedChild(ChildProgram program, ChildLimits limits, string temporary, params string[] arguments)
    {
        this.limits = limits;
        this.temporary = Directory.CreateDirectory(temporary);
        process = new() { StartInfo = StartInfo(program, limits, temporary, arguments) };
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.Start();
        process.BeginErrorReadLine();
    }

    public bool HasEnded => process.HasExited;

    /// <param name="line">Null to wait for what the child has to say anyway.</param>
    /// <param name="time">Null for that of the limits.</param>
    /// <returns>One line.</returns>
    /// <exception cref="ChildException">It took too much, or ended; it is gone then.</exception>
    public string Ask(string? line, TimeSpan? time = null, CancellationToken cancellation = default)
    {
        long start = Stopwatch.GetTimestamp();
        using Timer watch = new(_ => Watch(start, time ?? limits.Time), null, Poll, Poll);
        using CancellationTokenRegistration registration = cancellation.Register(() => Kill("was not wanted any more"));
        try
        {
            if (line is not null)
            {
                process.StandardInput.WriteLine(line);
                process.StandardInput.Flush();
            }

            return ReadLine() ?? throw Ended();
        }
        catch (IOException)
        {
            throw Ended();
        }
        finally
        {
            cancellation.ThrowIfCancellationRequested();
        }
    }

    public void Dispose()
    {
        Kill("is not needed any more");
        process.WaitForExit();
        process.Dispose();
        temporary.Delete(recursive: true);
    }

    private static ProcessStartInfo StartInfo(ChildProgram program, ChildLimits limits, string temporary, string[] arguments)
    {
        ProcessStartInfo start = new(program.File, [.. program.Arguments, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = new UTF8Encoding(false),
            StandardOutputEncoding = Encoding.UTF8,
        };
        Dictionary<string, string?> inherited = Inherited.ToDictionary(name => name, Environment.GetEnvironmentVariable);
        start.Environment.Clear();
        foreach ((string name, string? value) in inherited.Where(variable => variable.Value is not null))
        {
            start.Environment[name] = value;
        }

        start.Environment["TMPDIR"] = temporary;
        start.Environment[BytesVariable] = limits.Bytes.ToString(CultureInfo.InvariantCulture);
        start.Environment["DOTNET_GCHeapHardLimit"] = limits.Bytes.ToString("x", CultureInfo.InvariantCulture);
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        start.Environment["DOTNET_TieredPGO"] = "0";
        return start;
    }

    private string? ReadLine()
    {
        StringBuilder line = new();
        for (int letter; (letter = process.StandardOutput.Read()) != '\n';)
        {
            if (letter < 0)
            {
                return null;
            }

            if (line.Length == LongestAnswer)
            {
                Kill($"answered more than {LongestAnswer} characters");
                return null;
            }

            line.Append((char)letter);
        }

        return line.ToString();
    }

    private void Watch(long start, TimeSpan time)
    {
        if (Stopwatch.GetElapsedTime(start) > time)
        {
            Kill(string.Create(CultureInfo.InvariantCulture, $"took longer than {time.TotalSeconds:0.###} s"));
        }
        else if (Memory() > limits.Bytes)
        {
            Kill($"took more than {limits.Bytes} bytes of memory");
        }
    }

    // Without the pages of mapped files, which the system takes back when it needs them.
    private long Memory()
    {
        try
        {
            return ProcessStatus.Bytes($"{process.Id}", "RssAnon");
        }
        catch (Exception error) when (error is IOException or InvalidOperationException)
        {
            return 0;
        }
    }

    private void Kill(string reason)
    {
        try
        {
            if (!process.HasExited)
            {
                killed ??= reason;
                process.Kill(entireProcessTree: true);
            }
        }
        catch (Exception error) when (error is InvalidOperationException or Win32Exception)
        {
            // It has just ended.
        }
    }

    private ChildException Ended()
    {
        process.WaitForExit();
        lock (errors)
        {
            return new(killed ?? $"ended with code {process.ExitCode}{(errors.Length > 0 ? $": {UploadName.Printable(errors.ToString(), KeptErrors)}" : "")}");
        }
    }

    private void Keep(string? line)
    {
        lock (errors)
        {
            if (line is not null && errors.Length < KeptErrors)
            {
                errors.Append(errors.Length > 0 ? " " : "").Append(line);
            }
        }
    }
}

/// <summary>A child process was killed or ended; the message goes on after "it".</summary>
internal sealed class ChildException(string message) : Exception(message);
