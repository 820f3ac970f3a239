using System.Runtime.InteropServices;

namespace ProxyTune.Gateway.Experts;

/// <summary>Atomic writes that survive a power cut.</summary>
internal static partial class Durable
{
    private const int ReadOnly = 0;

    /// <summary>Replaces a file.</summary>
    public static void Write(string path, ReadOnlySpan<byte> bytes)
    {
        string partial = Partial(path);
        using (FileStream stream = new(partial, FileMode.Create, FileAccess.Write))
        {
            stream.Write(bytes);
            stream.Flush(flushToDisk: true);
        }

        File.Move(partial, path, overwrite: true);
        Sync(Path.GetDirectoryName(path)!);
    }

    /// <summary>Path of the partial file that an interrupted write leaves.</summary>
    public static string Partial(string path) => path + ".partial";

    /// <summary>Moves a folder whose files are already flushed to the disk.</summary>
    public static void Move(string folder, string target)
    {
        Sync(folder);
        Directory.Move(folder, target);
        Sync(Path.GetDirectoryName(target)!);
    }

    // A rename is only on the disk when its folder is flushed, and .NET cannot open folders.
    private static void Sync(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        int file = Open(folder, ReadOnly);
        if (file < 0)
        {
            throw new IOException($"{folder} cannot be opened: error {Marshal.GetLastPInvokeError()}.");
        }

        // Some file systems do not support this call for folders. They have nothing to flush.
        _ = Flush(file);
        _ = Close(file);
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8, SetLastError = true)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Flush(int file);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int file);
}
