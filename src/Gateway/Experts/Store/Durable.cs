using System.Runtime.InteropServices;

namespace ProxyTune.Gateway.Experts;

/// <summary>Writes that are whole or not there, and still there after a power cut.</summary>
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

    /// <summary>What a write that did not end has left.</summary>
    public static string Partial(string path) => path + ".partial";

    /// <summary>Moves a folder whose files are on the disk already.</summary>
    public static void Move(string folder, string target)
    {
        Sync(folder);
        Directory.Move(folder, target);
        Sync(Path.GetDirectoryName(target)!);
    }

    // The framework opens no folders, and a rename is only on the disk when its folder is.
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

        // Some file systems have no such call for folders, and then nothing to be flushed.
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
