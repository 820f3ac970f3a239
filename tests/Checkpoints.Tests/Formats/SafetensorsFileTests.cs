using System.Buffers.Binary;
using System.Text;
using CsCheck;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Checkpoints.Tests.Formats;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly string path = Path.Combine(Directory.CreateTempSubdirectory("safetensors-").FullName, "model.safetensors");

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);

    [Fact]
    public void Write_SeveralTensors_ReadsBackInOrderAndAdjacent()
    {
        SafetensorsFile.Write(path, [("z", [2, 3], [1, 2, 3, 4, 5, 6]), ("a", [1], [float.NegativeInfinity]), ("empty", [0, 4], []), ("scalar", [], [7])]);

        using SafetensorsFile file = SafetensorsFile.Open(path);

        Assert.Equal([1, 2, 3, 4, 5, 6], file.ReadFloat32("z"));
        Assert.Equal([float.NegativeInfinity], file.ReadFloat32("a"));
        Assert.Empty(file.ReadFloat32("empty"));
        Assert.Equal([7], file.ReadFloat32("scalar"));
        Assert.Equal([2, 3], file.Tensors["z"].Shape);
        Assert.Equal(0, file.Tensors["z"].Offset % 8);
        Assert.Equal(file.Tensors["z"].Offset + file.Tensors["z"].Length, file.Tensors["a"].Offset);
        Assert.Equal([path], Directory.GetFiles(Path.GetDirectoryName(path)!));
    }

    [Fact]
    public void Write_AnyFloats_ReadsBackTheSameBits() =>
        Gen.Float.Array[0, 50].Sample(
            values =>
            {
                SafetensorsFile.Write(path, [("t", [values.Length], values)]);
                using SafetensorsFile file = SafetensorsFile.Open(path);
                Assert.Equal(values.Select(BitConverter.SingleToUInt32Bits), file.ReadFloat32("t").Select(BitConverter.SingleToUInt32Bits));
            },
            iter: 50,
            threads: 1);

    [Fact]
    public void Write_WrongShape_LeavesTheOldFile()
    {
        SafetensorsFile.Write(path, [("t", [1], [1])]);

        Assert.Throws<ArgumentException>(() => SafetensorsFile.Write(path, [("t", [2], [1])]));
        Assert.Throws<ArgumentException>(() => SafetensorsFile.Write(path, [("t", [1], [1]), ("t", [1], [2])]));

        using SafetensorsFile file = SafetensorsFile.Open(path);
        Assert.Equal([1], file.ReadFloat32("t"));
    }

    [Fact]
    public void ReadFloat32_HalfTypes_AreWidened()
    {
        WriteRaw("""{"h":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]}}""", [0x00, 0x3C, 0x00, 0xC5, 0x80, 0x3F, 0xA0, 0xC0]);

        using SafetensorsFile file = SafetensorsFile.Open(path);

        Assert.Equal([1, -5], file.ReadFloat32("h"));
        Assert.Equal([1, -5], file.ReadFloat32("b"));
    }

    [Theory]
    [InlineData("""{"t":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", "'t'")]
    [InlineData("""{"t":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", "'t'")]
    [InlineData("""{"t":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}}""", "'t'")]
    [InlineData("""{"t":{"dtype":"F32","shape":[1073741824,1073741824,1073741824,4],"data_offsets":[0,0]}}""", "'t'")]
    [InlineData("""{"t":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", "'t'")]
    [InlineData("""{"t":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", "'t'")]
    [InlineData("""{"t":{"dtype":"F32","shape":[2],"data_offsets":[0]}}""", "'t'")]
    [InlineData("""{"t":{"dtype":"F33","shape":[2],"data_offsets":[0,8]}}""", "F33")]
    [InlineData("""{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"u":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "'u'")]
    [InlineData("""{"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "'t'")]
    [InlineData("""{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "the file at")]
    [InlineData("""{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}""", "header")]
    [InlineData("""{"t":{"shape":[2],"data_offsets":[0,8]}}""", "header")]
    [InlineData("""{"t":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}""", "header")]
    [InlineData("""{"t":7}""", "header")]
    [InlineData("[]", "header")]
    [InlineData("{", "header")]
    public void Open_BrokenHeader_NamesFileAndTensor(string header, string named)
    {
        WriteRaw(header, new byte[8]);

        EngineException error = Assert.Throws<EngineException>(() => SafetensorsFile.Open(path));

        Assert.Equal(EngineError.InvalidModelFolder, error.Error);
        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(7)]
    [InlineData(60)]
    [InlineData(-1)]
    public void Open_TruncatedFile_IsRefused(int length)
    {
        SafetensorsFile.Write(path, [("t", [2], [1, 2])]);
        byte[] bytes = File.ReadAllBytes(path);
        File.WriteAllBytes(path, length < 0 ? bytes[..^1] : bytes[..length]);

        Assert.Contains(path, Assert.Throws<EngineException>(() => SafetensorsFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_HeaderLengthBeyondFile_IsRefusedWithoutAllocating()
    {
        byte[] bytes = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, ulong.MaxValue);
        File.WriteAllBytes(path, bytes);

        Assert.Contains("18446744073709551615", Assert.Throws<EngineException>(() => SafetensorsFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ReadFloat32_UnknownOrIntegerTensor_IsRefusedByName()
    {
        WriteRaw("""{"i":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}""", new byte[8]);
        using SafetensorsFile file = SafetensorsFile.Open(path);

        Assert.Contains("'i' is I64", Assert.Throws<EngineException>(() => file.ReadFloat32("i")).Message, StringComparison.Ordinal);
        Assert.Contains("'other'", Assert.Throws<EngineException>(() => file.ReadFloat32("other")).Message, StringComparison.Ordinal);
    }

    private void WriteRaw(string header, byte[] data)
    {
        byte[] json = Encoding.UTF8.GetBytes(header);
        byte[] length = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)json.Length);
        File.WriteAllBytes(path, [.. length, .. json, .. data]);
    }
}
