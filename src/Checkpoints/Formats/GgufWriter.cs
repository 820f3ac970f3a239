using System.Text;

namespace ProxyTune.Checkpoints.Formats;

/// <summary>
/// Writes GGUF 3, the file of llama.cpp: header, metadata, a line per tensor, then the tensors, each from a multiple of 32 bytes
/// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
/// </summary>
internal static class GgufWriter
{
    private const uint Version = 3;
    private const int Alignment = 32;

    /// <param name="metadata">Values are uint, float or string.</param>
    public static void Write(string path, IReadOnlyList<(string Key, object Value)> metadata, IReadOnlyList<GgufTensor> tensors)
    {
        using FileStream file = File.Create(path, 1 << 16);
        using BinaryWriter writer = new(file, Encoding.UTF8);
        writer.Write("GGUF"u8);
        writer.Write(Version);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)metadata.Count);
        foreach ((string key, object value) in metadata)
        {
            Text(writer, key);
            Value(writer, value);
        }

        long offset = 0;
        foreach (GgufTensor tensor in tensors)
        {
            Text(writer, tensor.Name);
            writer.Write((uint)tensor.Shape.Length);
            foreach (int size in tensor.Shape.Reverse())
            {
                writer.Write((ulong)size);
            }

            writer.Write((uint)tensor.Type);
            writer.Write((ulong)offset);
            offset += Aligned(tensor.Bytes);
        }

        foreach (GgufTensor tensor in tensors)
        {
            Pad(writer);
            foreach (ReadOnlyMemory<float> piece in tensor.Read())
            {
                writer.Write(GgufBlocks.Of(tensor.Type, piece.Span, tensor.Shape[^1]));
            }
        }

        Pad(writer);
    }

    private static void Value(BinaryWriter writer, object value)
    {
        const uint UnsignedInteger = 4, Float = 6, String = 8;
        switch (value)
        {
            case uint number:
                writer.Write(UnsignedInteger);
                writer.Write(number);
                break;
            case float number:
                writer.Write(Float);
                writer.Write(number);
                break;
            case string text:
                writer.Write(String);
                Text(writer, text);
                break;
            default:
                throw new ArgumentException($"A {value.GetType().Name} is given; uint, float or string can be written.", nameof(value));
        }
    }

    private static void Text(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)bytes.Length);
        writer.Write(bytes);
    }

    private static void Pad(BinaryWriter writer)
    {
        writer.Flush();
        writer.Write(new byte[Aligned(writer.BaseStream.Position) - writer.BaseStream.Position]);
    }

    private static long Aligned(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;
}
