using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace ProxyTune.Gateway.Hosting;

/// <summary>Says in one sentence where the system gives a process too little to start the server.</summary>
internal static partial class ProcessLimits
{
    // Shared libraries, models and a few connections.
    private const ulong LeastFiles = 512;
    private const int OpenFiles = 7, ErrorStream = 2;

    /// <summary>Writes what is too little, if anything is. It comes first, since the runtime itself fails in other words later.</summary>
    /// <returns>Whether the server can start.</returns>
    public static bool Suffice()
    {
        if (!OperatingSystem.IsLinux() || Get(OpenFiles, out Limit files) != 0 || files.Soft >= LeastFiles)
        {
            return true;
        }

        Say(string.Create(CultureInfo.InvariantCulture, $"a process may open {files.Soft} files here, and the server needs at least {LeastFiles}; raise the limit (ulimit -n)."));
        return false;
    }

    /// <summary>Writes to the error stream without the console, which would open files and take memory.</summary>
    public static void Say(string sentence)
    {
        byte[] message = Encoding.UTF8.GetBytes($"proxytune: {sentence}\n");
        _ = Write(ErrorStream, message, (nuint)message.Length);
    }

    /// <summary>A sentence for a failure whose exception does not name its cause, such as a library that finds no memory.</summary>
    public static string Describe(Exception error)
    {
        Exception cause = error;
        while (cause.InnerException is { } inner)
        {
            cause = inner;
        }

        return string.Create(
            CultureInfo.InvariantCulture,
            $"the server cannot start: {cause.Message.Split('\n')[0].TrimEnd('.', '\r')}. It may use {GC.GetGCMemoryInfo().TotalAvailableMemoryBytes >> 20} MiB of memory (ulimit -v, ulimit -d or the container's limit); if that is little, raise it.");
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int Get(int resource, out Limit limit);

    [LibraryImport("libc", EntryPoint = "write")]
    private static partial nint Write(int file, byte[] bytes, nuint length);

    [StructLayout(LayoutKind.Sequential)]
    private struct Limit
    {
        public nuint Soft;
        public nuint Hard;
    }
}
