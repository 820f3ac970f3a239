using System.Diagnostics;

namespace ProxyTune.Kernels;

internal static class Warmup
{
    private static readonly TimeSpan Busy = TimeSpan.FromMilliseconds(150), Pause = TimeSpan.FromMilliseconds(150);

    /// <summary>Runs the kernels until tiered compilation has replaced their first code. The pauses give the background compiler time.</summary>
    public static void Run(params Action[] kernels)
    {
        for (int step = 0; step < 3; step++)
        {
            foreach (Action kernel in kernels)
            {
                long start = Stopwatch.GetTimestamp();
                for (int calls = 0; calls < 40 || Stopwatch.GetElapsedTime(start) < Busy; calls++)
                {
                    kernel();
                }
            }

            Thread.Sleep(Pause);
        }
    }
}
