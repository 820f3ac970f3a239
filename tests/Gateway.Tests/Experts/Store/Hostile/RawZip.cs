using System.IO.Compression;
using System.IO.Hashing;
using System.Text;

namespace ProxyTune.Gateway.Tests.Experts;

/// <summary>Writes zip archives byte by byte, including wrong ones. A property that is set replaces the correct value.</summary>
internal sealed class RawZip
{
    private readonly List<byte> bytes = [];
    private readonly List<(Entry Entry, long Header)> entries = [];

    public sealed record Entry(string Name, byte[] Content)
    {
        public bool Deflated { get; init; } = true;

        public ushort Flags { get; init; }

        public ushort? Method { get; init; }

        public ushort Mode { get; init; } = 0x81A4;

        public byte[] Extra { get; init; } = [];

        public string? LocalName { get; init; }

        /// <summary>Length in both headers.</summary>
        public uint? Length { get; init; }

        /// <summary>Length in the local header.</summary>
        public uint? LocalLength { get; init; }

        public uint? Crc { get; init; }

        public uint? Packed { get; init; }

        /// <summary>Offset in the central directory; null for the correct one.</summary>
        public long? Header { get; init; }

        /// <summary>Whether it is written as into a pipe: checksum and packed size follow the data, and the header has 0 for them.</summary>
        public bool Streamed { get; init; }

        public Encoding Encoding { get; init; } = Encoding.UTF8;

        public byte[] Data => Deflated ? Deflate(Content) : Content;
    }

    /// <summary>A good archive.</summary>
    public static byte[] Of(IEnumerable<KeyValuePair<string, byte[]>> files, params Entry[] more) =>
        new RawZip().Add([.. files.Select(file => new Entry(file.Key, file.Value)), .. more]).Finish();

    public RawZip Add(params Entry[] added)
    {
        foreach (Entry entry in added)
        {
            entries.Add((entry, bytes.Count));
            Write(0x04034b50u);
            Header(entry.Streamed ? entry with { Crc = 0, Packed = 0, Flags = 8 } : entry, entry.LocalLength ?? entry.Length, entry.LocalName ?? entry.Name);
            Write((ushort)0);
            bytes.AddRange(entry.Encoding.GetBytes(entry.LocalName ?? entry.Name));
            bytes.AddRange(entry.Data);
            if (entry.Streamed)
            {
                Write(0x08074b50u);
                Write(Crc32.HashToUInt32(entry.Content));
                Write((uint)entry.Data.Length);
                Write((uint)entry.Content.Length);
            }
        }

        return this;
    }

    /// <summary>Bytes that belong to no entry.</summary>
    public RawZip Gap(byte[] gap)
    {
        bytes.AddRange(gap);
        return this;
    }

    public byte[] Finish(ushort? count = null, ushort disk = 0, uint? start = null)
    {
        long central = bytes.Count;
        foreach ((Entry entry, long header) in entries)
        {
            Write(0x02014b50u);
            Write((ushort)((3 << 8) | 20));
            Header(entry.Streamed ? entry with { Flags = 8 } : entry, entry.Length, entry.Name);
            Write((ushort)entry.Extra.Length);
            Write((ushort)0);
            Write((ushort)0);
            Write((ushort)0);
            Write((uint)entry.Mode << 16);
            Write((uint)(entry.Header ?? header));
            bytes.AddRange(entry.Encoding.GetBytes(entry.Name));
            bytes.AddRange(entry.Extra);
        }

        long size = bytes.Count - central;
        Write(0x06054b50u);
        Write(disk);
        Write(disk);
        Write(count ?? (ushort)entries.Count);
        Write(count ?? (ushort)entries.Count);
        Write((uint)size);
        Write(start ?? (uint)central);
        Write((ushort)0);
        return [.. bytes];
    }

    public static byte[] Deflate(byte[] content)
    {
        MemoryStream packed = new();
        using (DeflateStream stream = new(packed, CompressionLevel.Optimal, leaveOpen: true))
        {
            stream.Write(content);
        }

        return packed.ToArray();
    }

    // The fields from the version to the length of the name are the same in both headers.
    private void Header(Entry entry, uint? length, string name)
    {
        Write((ushort)20);
        Write((ushort)(entry.Flags | 0x800));
        Write(entry.Method ?? (ushort)(entry.Deflated ? 8 : 0));
        Write(0u);
        Write(entry.Crc ?? Crc32.HashToUInt32(entry.Content));
        Write(entry.Packed ?? (uint)entry.Data.Length);
        Write(length ?? (uint)entry.Content.Length);
        Write((ushort)entry.Encoding.GetByteCount(name));
    }

    private void Write(ushort value) => bytes.AddRange(BitConverter.GetBytes(value));

    private void Write(uint value) => bytes.AddRange(BitConverter.GetBytes(value));
}
