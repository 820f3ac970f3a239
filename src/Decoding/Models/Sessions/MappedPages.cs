using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Returns the pages of a mapped file to the system's page cache. Most weights are read once, when kernels pack their own copy. Weights that are
/// read again, such as embeddings, return page by page.
/// </summary>
internal static partial class MappedPages
{
    private const int DontNeed = 4;

    public static void Release(SafeMemoryMappedViewHandle view)
    {
        if (OperatingSystem.IsLinux())
        {
            // The call is only advice, so its failure does no harm.
            _ = Advise(view.DangerousGetHandle(), (nuint)view.ByteLength, DontNeed);
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(nint address, nuint length, int advice);
}
