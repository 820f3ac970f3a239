namespace ProxyTune.Gateway.Experts;

/// <summary>One entry of an archive, on which the central directory and the local header agree.</summary>
/// <param name="Header">Offset of its local header.</param>
/// <param name="Data">Offset of its data.</param>
/// <param name="Packed">Size in the archive in bytes.</param>
/// <param name="Length">Unpacked size in bytes, by its header.</param>
/// <param name="End">Offset behind its data, or behind its data descriptor if it has one.</param>
internal sealed record ZipEntry(string Name, long Header, long Data, long Packed, long Length, uint Crc, bool IsDeflated, long End)
{
    public bool IsFolder => Name.EndsWith('/');
}
