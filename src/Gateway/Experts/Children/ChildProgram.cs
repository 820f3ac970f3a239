using System.Reflection;
using System.Runtime.InteropServices;

namespace ProxyTune.Gateway.Experts;

/// <summary>The command line that starts this program again.</summary>
/// <param name="File">The executable.</param>
/// <param name="Arguments">Arguments before those of the command.</param>
public sealed record ChildProgram(string File, IReadOnlyList<string> Arguments)
{
    /// <param name="assembly">Its Main passes its arguments to <see cref="ChildCommand.TryRun"/>.</param>
    public static ChildProgram Of(Assembly assembly)
    {
        // The host is beside the shared frameworks, unless the program has its own.
        string host = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));
        return System.IO.File.Exists(host) ? new(host, [assembly.Location]) : new(Environment.ProcessPath!, []);
    }
}
