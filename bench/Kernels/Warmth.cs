using System.Diagnostics;

namespace ProxyTune.Kernels;

internal static class Warmth
{
    private static readonly TimeSpan Run = TimeSpan.FromMilliseconds(150), Rest = TimeSpan.FromMilliseconds(150);

    /// <summary>Until the compiler, which works beside and in steps, has made of it what a server runs after a while.</summary>
    public static void Reach(params Action[] kernels)
    {
        for (int step = 0; step < 3; step++)
        {
            foreach (Action kernel in kernels)
            {
                long start = Stopwatch.GetTimestamp();
                for (int calls = 0; calls < 40 || Stopwatch.GetElapsedTime(start) < Run; calls++)
                {
                    kernel();
                }
            }

            Thread.Sleep(Rest);
        }
    }
}
