using System.IO.Compression;
using System.IO.Hashing;
using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>The unpacked bytes of an entry, read forwards. It counts the bytes itself and does not trust the header.</summary>
internal sealed class ZipEntryStream : Stream
{
    // A file below this size is harmless at any ratio, and short texts have high ratios.
    private const long Harmless = 1 << 20;

    private readonly ZipEntry entry;
    private readonly Stream inflated;
    private readonly long maxLength;
    private readonly Crc32 crc = new();
    private long count;

    public ZipEntryStream(FileStream archive, ZipEntry entry, int maxRatio)
    {
        this.entry = entry;
        maxLength = Harmless + (entry.Packed * maxRatio);
        FileSection section = new(archive.SafeFileHandle, entry.Data, entry.Packed);
        inflated = entry.IsDeflated ? new DeflateStream(section, CompressionMode.Decompress) : section;
    }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    /// <exception cref="EngineException">InvalidExpert: the data is broken or does not match the header; UploadTooLarge: the ratio is too high.</exception>
    public override int Read(Span<byte> buffer)
    {
        int read = Inflate(buffer);
        count += read;
        crc.Append(buffer[..read]);
        if (count > entry.Length || (read == 0 && buffer.Length > 0 && (count != entry.Length || crc.GetCurrentHashAsUInt32() != entry.Crc)))
        {
            throw UploadName.Refused(entry.Name, $"is not what its header says: {entry.Length} bytes with the checksum {entry.Crc:x8}.");
        }

        return count <= maxLength
            ? read
            : throw new EngineException(
                EngineError.UploadTooLarge, $"'{entry.Name}' becomes more than {maxLength} bytes of {entry.Packed} in the archive; that ratio is too high (Experts:MaxRatio).", "Experts:MaxRatio");
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return ValueTask.FromResult(Read(buffer.Span));
    }

    public override void Flush() => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        inflated.Dispose();
        base.Dispose(disposing);
    }

    private int Inflate(Span<byte> buffer)
    {
        try
        {
            return inflated.Read(buffer);
        }
        catch (InvalidDataException error)
        {
            throw UploadName.Refused(entry.Name, $"cannot be unpacked: {error.Message}", error);
        }
    }
}
