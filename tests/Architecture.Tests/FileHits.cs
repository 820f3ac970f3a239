using System.IO.MemoryMappedFiles;

namespace ProxyTune.Architecture.Tests;

/// <summary>Records from which source files a process has run code. An instrumented server calls it, so it uses only the framework.</summary>
public static unsafe class FileHits
{
    /// <summary>Environment variable with the path of the file that has one byte per source file.</summary>
    public const string Variable = "PROXYTUNE_FILE_HITS";

    /// <summary>Largest number of source files, and length of the mapped file in bytes.</summary>
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
