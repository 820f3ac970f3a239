using System.Text;

namespace ProxyTune.Checkpoints.Tests.Export;

/// <summary>Reads GGUF in plain loops, as its specification describes.</summary>
internal sealed record PlainGguf(Dictionary<string, object> Metadata, Dictionary<string, (long[] Sizes, float[] Values)> Tensors)
{
    public static PlainGguf Read(string path)
    {
        using BinaryReader reader = new(File.OpenRead(path));
        Assert.Equal("GGUF", Encoding.ASCII.GetString(reader.ReadBytes(4)));
        Assert.Equal(3u, reader.ReadUInt32());
        ulong tensors = reader.ReadUInt64(), entries = reader.ReadUInt64();
        Dictionary<string, object> metadata = [];
        for (ulong i = 0; i < entries; i++)
        {
            string key = Text(reader);
            metadata[key] = reader.ReadUInt32() switch
            {
                4 => reader.ReadUInt32(),
                6 => reader.ReadSingle(),
                8 => Text(reader),
                uint other => throw new InvalidDataException($"{other}"),
            };
        }

        List<(string Name, long[] Sizes, uint Type, long Offset)> lines = [];
        for (ulong i = 0; i < tensors; i++)
        {
            string name = Text(reader);
            long[] sizes = new long[reader.ReadUInt32()];
            for (int d = 0; d < sizes.Length; d++)
            {
                sizes[d] = reader.ReadInt64();
            }

            lines.Add((name, sizes, reader.ReadUInt32(), reader.ReadInt64()));
        }

        long start = (reader.BaseStream.Position + 31) / 32 * 32;
        Dictionary<string, (long[], float[])> read = [];
        foreach ((string name, long[] sizes, uint type, long offset) in lines)
        {
            Assert.Equal(0, offset % 32);
            reader.BaseStream.Position = start + offset;
            float[] values = new float[sizes.Aggregate(1L, (count, size) => count * size)];
            for (int i = 0; i < values.Length; i += type == 0 ? 1 : 32)
            {
                Block(reader, type, values.AsSpan(i));
            }

            read[name] = (sizes, values);
        }

        return new(metadata, read);
    }

    private static void Block(BinaryReader reader, uint type, Span<float> values)
    {
        if (type == 0)
        {
            values[0] = reader.ReadSingle();
            return;
        }

        float scale = (float)reader.ReadHalf();
        for (int i = 0; type == 8 && i < 32; i++)
        {
            values[i] = scale * reader.ReadSByte();
        }

        for (int i = 0; type == 2 && i < 16; i++)
        {
            byte two = reader.ReadByte();
            values[i] = scale * ((two & 15) - 8);
            values[i + 16] = scale * ((two >> 4) - 8);
        }
    }

    private static string Text(BinaryReader reader) => Encoding.UTF8.GetString(reader.ReadBytes((int)reader.ReadUInt64()));
}
