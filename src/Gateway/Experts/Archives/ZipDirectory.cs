using System.Buffers.Binary;
using System.Text;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>
/// Reads the central directory of a zip archive (PKWARE's APPNOTE 6.3.10) and compares every entry with its local header. It is stricter than
/// usual extractors: entries must follow each other from the first byte on, so that none overlaps another and no bytes are hidden. Features that
/// an expert does not need are refused.
/// </summary>
internal sealed class ZipDirectory
{
    private const int EndBytes = 22, MaxComment = ushort.MaxValue;
    private const uint EndMark = 0x06054b50, CentralMark = 0x02014b50;

    private readonly FileStream file;
    private readonly string archive;

    private ZipDirectory(FileStream file, string archive) => (this.file, this.archive) = (file, archive);

    /// <param name="archive">Name of the archive, for messages.</param>
    /// <param name="maxEntries">Largest number of entries.</param>
    /// <exception cref="EngineException">InvalidExpert, naming the archive or the entry; UploadTooLarge: too many entries.</exception>
    public static IReadOnlyList<ZipEntry> Read(FileStream file, string archive, int maxEntries) => new ZipDirectory(file, archive).Read(maxEntries);

    private ZipEntry[] Read(int maxEntries)
    {
        (int count, long start, byte[] central) = End();
        if (count > maxEntries)
        {
            throw new EngineException(EngineError.UploadTooLarge, $"'{archive}' has {count} entries; accepted are at most {maxEntries} (Experts:MaxFiles).", "Experts:MaxFiles");
        }

        List<ZipEntry> entries = [];
        int position = 0;
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> rest = central.AsSpan(position);
            CentralHeader header = rest.Length >= CentralHeader.Bytes && BinaryPrimitives.ReadUInt32LittleEndian(rest) == CentralMark
                ? new(rest)
                : throw Broken("its central directory ends before its last entry.");
            position += header.Size <= rest.Length ? header.Size : throw Broken("its central directory ends inside an entry.");
            string name = Name(header, rest.Slice(CentralHeader.Bytes, header.NameBytes));
            CentralHeader.CheckExtra(name, rest.Slice(CentralHeader.Bytes + header.NameBytes, header.ExtraBytes));
            header.Check(name);
            entries.Add(LocalHeader.Read(file, name, header, start));
        }

        if (position != central.Length)
        {
            throw Broken($"its central directory has {central.Length} bytes, and its {count} entries take {position}.");
        }

        return Ordered(entries, start);
    }

    // Entries must follow each other: then none overlaps another, and every byte belongs to an entry.
    private ZipEntry[] Ordered(List<ZipEntry> entries, long start)
    {
        ZipEntry[] ordered = [.. entries.OrderBy(entry => entry.Header)];
        long end = 0;
        foreach (ZipEntry entry in ordered)
        {
            if (entry.Header != end)
            {
                throw UploadName.Refused(entry.Name, entry.Header < end
                    ? $"overlaps another entry of '{archive}': it begins at byte {entry.Header}, and the other ends at {end}."
                    : $"begins at byte {entry.Header} of '{archive}', and {entry.Header - end} bytes before it belong to no entry.");
            }

            end = entry.End;
        }

        return end == start ? ordered : throw Broken($"its last entry ends at byte {end}, and its central directory begins at {start}.");
    }

    private (int Count, long Start, byte[] Central) End()
    {
        byte[] tail = Bytes(Math.Max(0, file.Length - EndBytes - MaxComment), (int)Math.Min(file.Length, EndBytes + MaxComment));
        for (int at = tail.Length - EndBytes; at >= 0; at--)
        {
            ReadOnlySpan<byte> end = tail.AsSpan(at);
            if (BinaryPrimitives.ReadUInt32LittleEndian(end) != EndMark || BinaryPrimitives.ReadUInt16LittleEndian(end[20..]) != end.Length - EndBytes)
            {
                continue;
            }

            int disk = BinaryPrimitives.ReadUInt16LittleEndian(end[4..]) | BinaryPrimitives.ReadUInt16LittleEndian(end[6..]);
            int here = BinaryPrimitives.ReadUInt16LittleEndian(end[8..]), count = BinaryPrimitives.ReadUInt16LittleEndian(end[10..]);
            long size = BinaryPrimitives.ReadUInt32LittleEndian(end[12..]), start = BinaryPrimitives.ReadUInt32LittleEndian(end[16..]);
            return count == ushort.MaxValue || size == uint.MaxValue || start == uint.MaxValue ? throw Broken("it is in the format Zip64; accepted are archives below 4 GiB, and larger files without an archive.")
                : disk != 0 || here != count ? throw Broken("it is a part of several; accepted is one archive.")
                : start + size != file.Length - end.Length ? throw Broken($"its central directory has {size} bytes from byte {start} on, and must end where the end record begins, at {file.Length - end.Length}.")
                : count == 0 ? throw Broken("it has no entries.")
                : (count, start, Bytes(start, (int)size));
        }

        throw Broken("it is not a zip archive, or it is truncated: it has no end record.");
    }

    private byte[] Bytes(long offset, int count)
    {
        byte[] bytes = new byte[count];
        return RandomAccess.Read(file.SafeFileHandle, bytes, offset) == count ? bytes : throw Broken("it has been cut off.");
    }

    // Accepted names are ASCII, where both encodings agree. Other names are only shown in messages.
    private string Name(CentralHeader header, ReadOnlySpan<byte> bytes) => header.NameBytes == 0
        ? throw Broken("an entry has no name.")
        : (header.IsUnicode ? Encoding.UTF8 : Encoding.Latin1).GetString(bytes);

    private EngineException Broken(string what) => UploadName.Refused(archive, $"cannot be unpacked: {what}");
}
