using System.Reflection;
using System.Runtime.InteropServices;

namespace ProxyTune.Gateway.Experts;

/// <summary>How this program starts itself again.</summary>
/// <param name="File">The executable.</param>
/// <param name="Arguments">Before those of the command.</param>
public sealed record ChildProgram(string File, IReadOnlyList<string> Arguments)
{
    /// <param name="assembly">Whose Main gives its arguments to <see cref="ChildCommand.TryRun"/>.</param>
    public static ChildProgram Of(Assembly assembly)
    {
        // Next to the shared frameworks, unless the program brought its own.
        string host = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"));
        return System.IO.File.Exists(host) ? new(host, [assembly.Location]) : new(Environment.ProcessPath!, []);
    }
}
