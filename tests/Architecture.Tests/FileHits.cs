using System.IO.MemoryMappedFiles;

namespace ProxyTune.Architecture.Tests;

/// <summary>Marks which source files a process has run code of. An instrumented server calls it, so it uses nothing but the framework.</summary>
public static unsafe class FileHits
{
    /// <summary>Environment variable with the path of the file that holds a byte per source file.</summary>
    public const string Variable = "PROXYTUNE_FILE_HITS";

    /// <summary>Most source files, and the mapped file's length in bytes.</summary>
    public const int Capacity = 4096;

    private static readonly byte* Bytes = Map();

    /// <param name="file">Number of the source file, from 0.</param>
    public static void Hit(int file) => Bytes[file] = 1;

    private static byte* Map()
    {
        MemoryMappedViewAccessor view = MemoryMappedFile.CreateFromFile(Environment.GetEnvironmentVariable(Variable)!, FileMode.Open).CreateViewAccessor(0, Capacity);
        byte* bytes = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref bytes);
        return bytes;
    }
}
