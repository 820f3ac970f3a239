using System.Buffers.Binary;
using System.Text;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>The header before an entry's data. It must agree with the central directory.</summary>
internal static class LocalHeader
{
    private const int Bytes = 30, DescriptorBytes = 12;
    private const uint Mark = 0x04034b50, DescriptorMark = 0x08074b50;

    /// <param name="end">Where the central directory begins.</param>
    /// <exception cref="EngineException">InvalidExpert, naming the entry.</exception>
    public static ZipEntry Read(FileStream file, string name, CentralHeader central, long end)
    {
        byte[] bytes = new byte[Bytes + central.NameBytes];
        if (central.Header + bytes.Length > end || RandomAccess.Read(file.SafeFileHandle, bytes, central.Header) < bytes.Length
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Mark)
        {
            throw UploadName.Refused(name, $"has no header at byte {central.Header} of the archive, where its central directory says.");
        }

        int flags = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(6)), method = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(8));
        int nameBytes = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(26)), extraBytes = BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(28));
        if (flags != central.Flags || method != central.Method || nameBytes != central.NameBytes
            || (central.IsUnicode ? Encoding.UTF8 : Encoding.Latin1).GetString(bytes.AsSpan(Bytes)) != name)
        {
            throw UploadName.Refused(name, "has a header with another name, method or flags than the central directory says.");
        }

        // A program that writes into a pipe knows neither checksum nor packed size at this point and writes 0 for them. It may know the length.
        (uint Crc, uint Packed, uint Length) here = Sizes(bytes.AsSpan(14)), there = (central.Crc, central.Packed, central.Length);
        if (!Agrees(here.Crc, there.Crc) || !Agrees(here.Packed, there.Packed) || !Agrees(here.Length, there.Length))
        {
            throw UploadName.Refused(name, "has a header with another size or checksum than the central directory says.");
        }

        long data = central.Header + Bytes + nameBytes + extraBytes, behind = data + central.Packed;
        behind += central.HasDescriptor ? Descriptor(file, name, behind, there) : 0;
        return behind <= end
            ? new(name, central.Header, data, central.Packed, central.Length, central.Crc, central.IsDeflated, behind)
            : throw UploadName.Refused(name, $"ends at byte {behind} of the archive, behind the last that is data, {end}.");

        bool Agrees(uint local, uint said) => local == said || (central.HasDescriptor && local == 0);
    }

    private static int Descriptor(FileStream file, string name, long offset, (uint, uint, uint) sizes)
    {
        Span<byte> bytes = stackalloc byte[DescriptorBytes + sizeof(uint)];
        bytes = bytes[..RandomAccess.Read(file.SafeFileHandle, bytes, offset)];
        // The signature is optional.
        foreach (int mark in (ReadOnlySpan<int>)[sizeof(uint), 0])
        {
            if (bytes.Length >= mark + DescriptorBytes && Sizes(bytes[mark..]) == sizes && (mark == 0 || BinaryPrimitives.ReadUInt32LittleEndian(bytes) == DescriptorMark))
            {
                return mark + DescriptorBytes;
            }
        }

        throw UploadName.Refused(name, "has a descriptor behind its data with another size or checksum than the central directory says.");
    }

    private static (uint Crc, uint Packed, uint Length) Sizes(ReadOnlySpan<byte> bytes) => (
        BinaryPrimitives.ReadUInt32LittleEndian(bytes), BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]), BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]));
}
