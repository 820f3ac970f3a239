using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace ProxyTune.Gateway.Experts;

/// <summary>Ends a child when its server is gone, also while it is busy and does not read its input.</summary>
internal static partial class ParentWatch
{
    /// <summary>Environment variable with the server's process id.</summary>
    public const string Variable = "PROXYTUNE_CHILD_PARENT";

    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(200);

    public static void Start()
    {
        // The system gives a child whose parent has ended another parent.
        if (OperatingSystem.IsLinux() && int.TryParse(Environment.GetEnvironmentVariable(Variable), NumberStyles.None, CultureInfo.InvariantCulture, out int parent))
        {
            new Thread(() => EndWith(parent)) { IsBackground = true, Name = "parent watch" }.Start();
        }
    }

    private static void EndWith(int parent)
    {
        while (ParentId() == parent)
        {
            Thread.Sleep(Poll);
        }

        using Process self = Process.GetCurrentProcess();
        self.Kill();
    }

    [LibraryImport("libc", EntryPoint = "getppid")]
    private static partial int ParentId();
}
