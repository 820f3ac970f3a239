using System.Runtime.InteropServices;

namespace ProxyTune.Decoding.Serving;

/// <summary>A thread of low priority for loading and checking, so that running answers have the processor first.</summary>
internal static partial class QuietThread
{
    private const int OfThread = 0, Calling = 0, Nice = 5;

    /// <summary>Runs work on a new thread, with a low priority if the system supports that for threads (Linux).</summary>
    public static Task<T> RunAsync<T>(Func<T> work)
    {
        TaskCompletionSource<T> done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        new Thread(() =>
        {
            if (OperatingSystem.IsLinux())
            {
                // If this fails, the work has normal priority.
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
