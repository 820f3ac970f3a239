using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace ProxyTune.Gateway.Experts;

/// <summary>Limits of a child process. It is killed when it exceeds one.</summary>
/// <param name="Time">Time for one answer.</param>
/// <param name="Bytes">Memory in bytes beyond the files that it maps.</param>
public sealed record ChildLimits(TimeSpan Time, long Bytes);

/// <summary>Runs this program in a child process for work that may hang, take all memory or crash. It reads a line and answers with a line. One thread at a time.</summary>
/// <remarks>The child does not inherit the server's environment and has a temporary folder of its own. It ends with the server, see <see cref="ParentWatch"/>.</remarks>
internal sealed class LimitedChild : IDisposable
{
    /// <summary>Environment variable with the memory limit that the child sets for itself, see <see cref="ResourceLimits"/>.</summary>
    public const string BytesVariable = "PROXYTUNE_CHILD_BYTES";

    private const int MaxAnswerLength = 64 << 20, KeptErrors = 2000;
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);
    private static readonly string[] Inherited = ["PATH", "LD_LIBRARY_PATH", "DOTNET_ROOT", "SystemRoot"];

    private readonly Process process;
    private readonly ChildLimits limits;
    private readonly DirectoryInfo temporary;
    private readonly StringBuilder errors = new();
    private string? killed;

    /// <param name="temporary">Path of the child's temporary folder. It is created here and deleted on disposal.</param>
    public LimitedChild(ChildProgram program, ChildLimits limits, string temporary, params string[] arguments)
    {
        this.limits = limits;
        this.temporary = Directory.CreateDirectory(temporary);
        process = new() { StartInfo = StartInfo(program, limits, temporary, arguments) };
        process.ErrorDataReceived += (_, line) => AddError(line.Data);
        process.Start();
        process.BeginErrorReadLine();
    }

    public bool HasEnded => process.HasExited;

    /// <param name="line">The question; null to wait for a line without asking.</param>
    /// <param name="time">Time limit; null for <see cref="ChildLimits.Time"/>.</param>
    /// <returns>The child's line.</returns>
    /// <exception cref="ChildException">The child exceeded a limit and was killed, or it ended.</exception>
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
        start.Environment[ParentWatch.Variable] = Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
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

            if (line.Length == MaxAnswerLength)
            {
                Kill($"answered more than {MaxAnswerLength} characters");
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

    // Pages of mapped files do not count: the system can reclaim them.
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
            // The child has just ended.
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

    private void AddError(string? line)
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

/// <summary>A child process was killed or ended. The message is a predicate without its subject, such as "took longer than 1 s".</summary>
internal sealed class ChildException(string message) : Exception(message);
