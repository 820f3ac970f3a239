using System.Runtime.CompilerServices;
using System.Text;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>Reads a GGUF header from its first byte to its last. Every length is compared with the rest of the file before anything is allocated.</summary>
internal sealed class GgufCursor(string path, UnmanagedMemoryAccessor view, long length)
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public long Position { get; private set; }

    private long Left => length - Position;

    /// <param name="what">What is read, as messages name it.</param>
    public T Read<T>(string what)
        where T : unmanaged
    {
        int size = Unsafe.SizeOf<T>();
        if (size > Left)
        {
            throw Broken($"the file ends inside {what}: {Left} bytes are left, {size} are needed.");
        }

        view.Read(Position, out T value);
        Position += size;
        return value;
    }

    public string Text(string what)
    {
        byte[] bytes = Array<byte>(Read<ulong>($"the length of {what}"), what, "bytes");
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException error)
        {
            throw Broken($"{what} holds bytes that are not UTF-8.", inner: error);
        }
    }

    /// <summary>An array of numbers of the same type.</summary>
    public T[] Array<T>(ulong count, string what, string unit = "elements")
        where T : unmanaged
    {
        Require(count, Unsafe.SizeOf<T>(), what, unit);
        T[] values = new T[count];
        view.ReadArray(Position, values, 0, values.Length);
        Position += values.Length * (long)Unsafe.SizeOf<T>();
        return values;
    }

    public string[] Texts(ulong count, string what)
    {
        Require(count, sizeof(ulong), what, "strings");
        string[] texts = new string[count];
        for (int i = 0; i < texts.Length; i++)
        {
            texts[i] = Text($"{what}[{i}]");
        }

        return texts;
    }

    /// <summary>Refuses a count that the rest of the file cannot hold.</summary>
    /// <param name="least">The bytes that one takes at least.</param>
    public void Require(ulong count, int least, string what, string unit)
    {
        if (count > (ulong)(Left / least) || count > (ulong)System.Array.MaxLength)
        {
            throw Broken($"{what} claims {count} {unit}; the {Left} bytes that are left hold at most {Left / least}.");
        }
    }

    public EngineException Broken(string what, string? field = null, Exception? inner = null) => EngineException.InFile(path, what, field, inner);
}
