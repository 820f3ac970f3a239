using System.Buffers.Binary;

namespace ProxyTune.Gateway.Experts;

/// <summary>The fixed part of an entry of a central directory.</summary>
internal readonly struct CentralHeader(ReadOnlySpan<byte> bytes)
{
    public const int Bytes = 46;

    private const int Encrypted = 1 | (1 << 6) | (1 << 13), Patched = 1 << 5, Described = 1 << 3, Unicode = 1 << 11;
    private const int Stored = 0, Deflated = 8;
    private const int TypeMask = 0xF000, Regular = 0x8000, Folder = 0x4000, Link = 0xA000;
    private const int Zip64 = 0x0001, UnicodePath = 0x7075, Aes = 0x9901;

    public int Flags { get; } = BinaryPrimitives.ReadUInt16LittleEndian(bytes[8..]);

    public int Method { get; } = BinaryPrimitives.ReadUInt16LittleEndian(bytes[10..]);

    public uint Crc { get; } = BinaryPrimitives.ReadUInt32LittleEndian(bytes[16..]);

    public uint Packed { get; } = BinaryPrimitives.ReadUInt32LittleEndian(bytes[20..]);

    public uint Length { get; } = BinaryPrimitives.ReadUInt32LittleEndian(bytes[24..]);

    public int NameBytes { get; } = BinaryPrimitives.ReadUInt16LittleEndian(bytes[28..]);

    public int ExtraBytes { get; } = BinaryPrimitives.ReadUInt16LittleEndian(bytes[30..]);

    public int CommentBytes { get; } = BinaryPrimitives.ReadUInt16LittleEndian(bytes[32..]);

    /// <summary>Unix file type and permissions; 0 if the archive was not made on Unix.</summary>
    public int Mode { get; } = BinaryPrimitives.ReadUInt16LittleEndian(bytes[40..]);

    public uint Header { get; } = BinaryPrimitives.ReadUInt32LittleEndian(bytes[42..]);

    public int Size => Bytes + NameBytes + ExtraBytes + CommentBytes;

    public bool IsUnicode => (Flags & Unicode) != 0;

    /// <summary>Whether sizes and checksum follow the data, as in archives that were written into a pipe.</summary>
    public bool HasDescriptor => (Flags & Described) != 0;

    public bool IsDeflated => Method == Deflated;

    public void Check(string name)
    {
        if ((Flags & Encrypted) != 0)
        {
            throw UploadName.Refused(name, "is encrypted; accepted are plain entries.");
        }

        if ((Flags & Patched) != 0 || Method is not (Stored or Deflated))
        {
            throw UploadName.Refused(name, $"is compressed by method {Method}; accepted are {Stored} (stored) and {Deflated} (deflated).");
        }

        if (Packed == uint.MaxValue || Length == uint.MaxValue || Header == uint.MaxValue)
        {
            throw UploadName.Refused(name, "is in the format Zip64; accepted are archives below 4 GiB, and larger files without an archive.");
        }

        int type = Mode & TypeMask;
        if (type is not (0 or Regular or Folder) || (type == Folder) != name.EndsWith('/') && type != 0)
        {
            throw UploadName.Refused(name, $"is {(type == Link ? "a symbolic link" : "a special file")} (mode {Convert.ToString(Mode, 8)}); accepted are plain files.");
        }

        if (name.EndsWith('/') && Length != 0)
        {
            throw UploadName.Refused(name, $"is a folder of {Length} bytes.");
        }
    }

    public static void CheckExtra(string name, ReadOnlySpan<byte> extra)
    {
        while (extra.Length > 0)
        {
            int size = extra.Length >= 4 ? BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]) : int.MaxValue;
            if (size > extra.Length - 4)
            {
                throw UploadName.Refused(name, "has an extra field that ends behind its header.");
            }

            switch (BinaryPrimitives.ReadUInt16LittleEndian(extra))
            {
                case Zip64:
                    throw UploadName.Refused(name, "is in the format Zip64; accepted are archives below 4 GiB, and larger files without an archive.");
                case UnicodePath:
                    throw UploadName.Refused(name, "has a second name in an extra field, which some programs would take.");
                case Aes:
                    throw UploadName.Refused(name, "is encrypted; accepted are plain entries.");
                default:
                    extra = extra[(4 + size)..];
                    break;
            }
        }
    }
}
