using System.Globalization;
using System.Runtime.InteropServices;

namespace ProxyTune.Gateway.Experts;

/// <summary>Limits that a child sets for itself before its work, so that an allocation fails before the machine runs out of memory.</summary>
internal static partial class ResourceLimits
{
    private const int Data = 2, Core = 4;

    /// <summary>Applies the limit from the environment, see <see cref="LimitedChild"/>.</summary>
    public static void Apply()
    {
        if (!OperatingSystem.IsLinux() || !long.TryParse(Environment.GetEnvironmentVariable(LimitedChild.BytesVariable), NumberStyles.None, CultureInfo.InvariantCulture, out long bytes))
        {
            return;
        }

        // If the machine runs out of memory, the system kills the child first.
        File.WriteAllText("/proc/self/oom_score_adj", "1000");

        // Memory that the runtime has taken already does not count; its heap has a limit of its own. If the system refuses, the parent still measures.
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
