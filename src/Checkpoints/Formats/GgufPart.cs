using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>One file of a GGUF model: its header, and its data through a mapping of only the bytes that are read.</summary>
internal sealed class GgufPart : IDisposable
{
    private readonly SafeFileHandle file;
    private readonly MemoryMappedFile map;
    private readonly long length;

    private GgufPart(string path, int part, SafeFileHandle file, long length)
    {
        (Path, this.file, this.length) = (path, file, length);
        map = MemoryMappedFile.CreateFromFile(file, mapName: null, capacity: 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true);
        try
        {
            using MemoryMappedViewAccessor view = map.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            Header = GgufHeader.Read(path, part, view, length);
        }
        catch
        {
            map.Dispose();
            throw;
        }
    }

    public string Path { get; }

    public GgufHeader Header { get; }

    /// <param name="part">Its number, from 0.</param>
    /// <exception cref="EngineException">InvalidModelFolder: there is no such file, or it is broken.</exception>
    public static GgufPart Open(string path, int part)
    {
        SafeFileHandle file;
        try
        {
            file = File.OpenHandle(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw EngineException.InFile(path, error is FileNotFoundException or DirectoryNotFoundException ? "no such file." : error.Message, inner: error);
        }

        try
        {
            long length = RandomAccess.GetLength(file);
            return length > 0 ? new(path, part, file, length) : throw EngineException.InFile(path, "the file is empty; accepted is a GGUF file.");
        }
        catch (Exception error)
        {
            file.Dispose();
            if (error is IOException or UnauthorizedAccessException)
            {
                throw EngineException.InFile(path, error.Message, inner: error);
            }

            throw;
        }
    }

    /// <summary>Bytes of the file. The mapping lasts no longer than this call, so that memory does not grow with the file.</summary>
    /// <param name="offset">Of the first byte.</param>
    /// <param name="places">Where the rows go: row i of the bytes becomes row <c>places(i)</c>.</param>
    /// <exception cref="EngineException">InvalidModelFolder: the file has become shorter since it was opened.</exception>
    public void Read(string tensor, long offset, Span<byte> bytes, int rowBytes, Func<int, int>? places)
    {
        if (RandomAccess.GetLength(file) < length)
        {
            throw EngineException.InFile(Path, $"the file has become shorter while it was read; tensor '{tensor}' may be cut off.", tensor);
        }

        using MemoryMappedViewAccessor view = map.CreateViewAccessor(offset, bytes.Length, MemoryMappedFileAccess.Read);
        if (places is null)
        {
            view.SafeMemoryMappedViewHandle.ReadSpan((ulong)view.PointerOffset, bytes);
            return;
        }

        for (int row = 0; row * rowBytes < bytes.Length; row++)
        {
            view.SafeMemoryMappedViewHandle.ReadSpan((ulong)(view.PointerOffset + ((long)row * rowBytes)), bytes.Slice(places(row) * rowBytes, rowBytes));
        }
    }

    public void Dispose()
    {
        map.Dispose();
        file.Dispose();
    }
}
