using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Gives the pages of a mapped file back to the system's page cache. Most weights are read once, when kernels pack their own copy; what is
/// read again, such as embeddings, comes back page by page.
/// </summary>
internal static partial class MappedPages
{
    private const int DontNeed = 4;

    public static void Release(SafeMemoryMappedViewHandle view)
    {
        if (OperatingSystem.IsLinux())
        {
            // It is advice: where it fails, nothing is lost.
            _ = Advise(view.DangerousGetHandle(), (nuint)view.ByteLength, DontNeed);
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);
}
