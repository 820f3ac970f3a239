namespace ProxyTune.Gateway.Experts;

/// <summary>One entry of an archive, as its central directory and its local header both have it.</summary>
/// <param name="Header">Where its local header begins.</param>
/// <param name="Data">Where its bytes begin.</param>
/// <param name="Packed">Bytes in the archive.</param>
/// <param name="Length">Bytes that it becomes, by its header.</param>
/// <param name="End">Behind its bytes, and its descriptor where it has one.</param>
internal sealed record ZipEntry(string Name, long Header, long Data, long Packed, long Length, uint Crc, bool IsDeflated, long End)
{
    public bool IsFolder => Name.EndsWith('/');
}
