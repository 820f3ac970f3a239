using System.Runtime.InteropServices;

namespace ProxyTune.Decoding.Serving;

/// <summary>Work beside running answers, which has the processor only where they leave it: loading and checking.</summary>
internal static partial class QuietThread
{
    private const int OfThread = 0, Calling = 0, Nice = 5;

    /// <summary>Runs on a thread of its own, with a low priority where the system has one for threads (Linux).</summary>
    public static Task<T> RunAsync<T>(Func<T> work)
    {
        TaskCompletionSource<T> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            if (OperatingSystem.IsLinux())
            {
                // Without it the work is only less quiet.
                _ = SetPriority(OfThread, Calling, Nice);
            }

            try
            {
                done.SetResult(work());
            }
            catch (Exception error)
            {
                done.SetException(error);
            }
        })
        { Name = "quiet", IsBackground = true }.Start();
        return done.Task;
    }

    [LibraryImport("libc", EntryPoint = "setpriority")]
    private static partial int SetPriority(int which, int who, int priority);
}
