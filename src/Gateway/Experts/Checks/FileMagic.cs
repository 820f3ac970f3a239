using ProxyTune.Checkpoints;

namespace ProxyTune.Gateway.Experts;

/// <summary>Recognises files by their first bytes, whatever their names.</summary>
internal static class FileMagic
{
    private const int Head = 1 << 12;

    private static readonly (string What, byte[] Mark)[] Marks =
    [
        ("an ELF program or library", [0x7F, (byte)'E', (byte)'L', (byte)'F']),
        ("a Mach-O program or library", [0xFE, 0xED, 0xFA, 0xCE]),
        ("a Mach-O program or library", [0xFE, 0xED, 0xFA, 0xCF]),
        ("a Mach-O program or library", [0xCE, 0xFA, 0xED, 0xFE]),
        ("a Mach-O program or library", [0xCF, 0xFA, 0xED, 0xFE]),
        ("a Mach-O program or Java class", [0xCA, 0xFE, 0xBA, 0xBE]),
        ("a library of object files", "!<arch>\n"u8.ToArray()),
        ("a WebAssembly program", "\0asm"u8.ToArray()),
        ("a script", "#!/"u8.ToArray()),
        ("an archive or PyTorch checkpoint", "PK\u0003\u0004"u8.ToArray()),
        ("an archive", [0x1F, 0x8B, 0x08]),
        ("an archive", [0xFD, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0]),
        ("an archive", [(byte)'7', (byte)'z', 0xBC, 0xAF, 0x27, 0x1C]),
        ("an archive", "BZh"u8.ToArray()),
        ("an archive", "Rar!"u8.ToArray()),
        ("an archive", [0x28, 0xB5, 0x2F, 0xFD]),
        ("a file of HDF5", [0x89, (byte)'H', (byte)'D', (byte)'F']),
        ("an array of NumPy", [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y']),
    ];

    /// <exception cref="EngineException">InvalidExpert, naming the file and what it is.</exception>
    public static void Check(string path, string name)
    {
        using FileStream file = File.OpenRead(path);
        byte[] head = new byte[Head];
        ReadOnlySpan<byte> start = head.AsSpan(0, file.ReadAtLeast(head, Head, throwOnEndOfStream: false));
        string? what = null;
        foreach ((string kind, byte[] mark) in Marks)
        {
            what ??= start.StartsWith(mark) ? kind : null;
        }

        what ??= IsPickle(start, file) ? "a pickle, which can run code" : IsWindows(start) ? "a Windows program or library" : IsTar(start) ? "an archive" : null;
        if (what is not null)
        {
            throw UploadName.Refused(name, $"is {what} by its content, whatever its name.");
        }

        CheckKind(name, start);
    }

    private static void CheckKind(string name, ReadOnlySpan<byte> start)
    {
        ReadOnlySpan<byte> text = start.StartsWith("\uFEFF"u8) ? start[3..] : start;
        string? wanted = Path.GetExtension(name) switch
        {
            ".json" when !text.TrimStart(" \t\r\n"u8).StartsWith("{"u8) => "a JSON object",
            ".safetensors" when start.Length < 9 || start[8] != '{' => "a safetensors file",
            ".jinja" or ".txt" when start.Contains((byte)0) => "a text",
            _ => null,
        };
        if (wanted is not null)
        {
            throw UploadName.Refused(name, $"does not begin as {wanted} does.");
        }
    }

    // A pickle begins with PROTO and a version, and ends with STOP.
    private static bool IsPickle(ReadOnlySpan<byte> start, FileStream file)
    {
        if (start.Length < 3 || start[0] != 0x80 || start[1] is < 2 or > 5)
        {
            return false;
        }

        file.Seek(-1, SeekOrigin.End);
        return file.ReadByte() == '.';
    }

    private static bool IsWindows(ReadOnlySpan<byte> start) =>
        start.Length >= 0x40 && start.StartsWith("MZ"u8)
        && BitConverter.ToInt32(start[0x3C..]) is var header and >= 0 && header + 4 <= start.Length && start[header..].StartsWith("PE\0\0"u8);

    private static bool IsTar(ReadOnlySpan<byte> start) => start.Length >= 262 && start[257..].StartsWith("ustar"u8);
}
