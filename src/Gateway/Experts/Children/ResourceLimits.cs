using System.Globalization;
using System.Runtime.InteropServices;

namespace ProxyTune.Gateway.Experts;

/// <summary>Limits that a child sets for itself before it touches anything, so that an allocation fails rather than the machine.</summary>
internal static partial class ResourceLimits
{
    private const int Data = 2, Core = 4;

    /// <summary>Takes the limit from the environment, see <see cref="LimitedChild"/>.</summary>
    public static void Apply()
    {
        if (!OperatingSystem.IsLinux() || !long.TryParse(Environment.GetEnvironmentVariable(LimitedChild.BytesVariable), NumberStyles.None, CultureInfo.InvariantCulture, out long bytes))
        {
            return;
        }

        // The first to go where the machine's memory ends.
        File.WriteAllText("/proc/self/oom_score_adj", "1000");

        // What the runtime has taken already does not count, and its heap has a limit of its own. Where the system refuses, the parent still looks.
        Limit data = new(bytes + ProcessStatus.Bytes("self", "VmData")), none = new(0);
        _ = Set(Data, ref data);
        _ = Set(Core, ref none);
    }

    [LibraryImport("libc", EntryPoint = "setrlimit")]
    private static partial int Set(int resource, ref Limit limit);

    [StructLayout(LayoutKind.Sequential)]
    private struct Limit(long bytes)
    {
        public nuint Soft = (nuint)bytes;

        public nuint Hard = (nuint)bytes;
    }
}
