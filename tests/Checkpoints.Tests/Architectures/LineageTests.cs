using System.Security.Cryptography;
using System.Text;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Testing;

namespace ProxyTune.Checkpoints.Tests.Architectures;

public sealed class LineageTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("lineage-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    /// <summary>Computes the hash by its definition, byte by byte. A change of the hash would invalidate every manifest that contains one.</summary>
    [Fact]
    public void Of_Checkpoint_HashesNamesShapesAndValuesInOrdinalOrder()
    {
        SafetensorsFile.Write(In("model.safetensors"), [("b", [2, 1], [1.5f, -2]), ("B", [], [0.1f])]);
        byte[] bytes = [.. Encoding.UTF8.GetBytes("B []\n"), .. BitConverter.GetBytes(0.1f), .. Encoding.UTF8.GetBytes("b [2,1]\n"), .. BitConverter.GetBytes(1.5f), .. BitConverter.GetBytes(-2f)];

        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(bytes)), Lineage.Of(folder));
    }

    /// <summary>Hashes a tensor that is read in several pieces. The pieces must not change the hash.</summary>
    [Fact]
    public void Of_LargeTensor_HashesAllOfIt()
    {
        float[] values = [.. Enumerable.Range(0, (1 << 18) + 3).Select(i => (float)i)];
        SafetensorsFile.Write(In("model.safetensors"), [("t", [values.Length], values)]);

        Assert.Equal(
            Convert.ToHexStringLower(SHA256.HashData([.. Encoding.UTF8.GetBytes($"t [{values.Length}]\n"), .. values.SelectMany(BitConverter.GetBytes)])), Lineage.Of(folder));
    }

    [Fact]
    public void Of_HalfPrecision_EqualsTheSameValuesInFloat32()
    {
        WriteHalf(In("model.safetensors"), "BF16", [0x3FC0, 0xC000]);
        string? half = Lineage.Of(folder);
        SafetensorsFile.Write(In("model.safetensors"), [("t", [2], [1.5f, -2])]);

        Assert.Equal(Lineage.Of(folder), half);
    }

    [Theory]
    [InlineData(32)]
    [InlineData(8)]
    [InlineData(4)]
    public void Of_Export_EqualsThatOfTheCheckpoint(int bits)
    {
        TinyModel.WriteCheckpoint(In("checkpoint"));
        CheckpointExporter.Export(In("checkpoint"), In("export"), bits: bits);
        TinyModel.WriteCheckpoint(In("other"), new TinyModelOptions { Seed = 2 });

        Assert.Equal(Lineage.Of(In("checkpoint")), Lineage.Of(In("export")));
        Assert.NotEqual(Lineage.Of(In("other")), Lineage.Of(In("export")));
        Assert.Equal(bits != 32, File.Exists(In("export/lineage.json")));
    }

    [Fact]
    public void Of_FolderWithoutLineage_IsNull() => Assert.Null(Lineage.Of(folder));

    [Theory]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("""{"weights": 7}""")]
    [InlineData("""{"weights": "ABCD"}""")]
    public void Of_WrongLineageFile_NamesIt(string content)
    {
        File.WriteAllText(In("lineage.json"), content);

        Assert.Contains("lineage.json", Assert.Throws<EngineException>(() => Lineage.Of(folder)).Message, StringComparison.Ordinal);
    }

    private string In(string name) => Path.Combine(folder, name);

    private static void WriteHalf(string path, string type, ushort[] values)
    {
        byte[] header = Encoding.UTF8.GetBytes($$$"""{"t":{"dtype":"{{{type}}}","shape":[{{{values.Length}}}],"data_offsets":[0,{{{2 * values.Length}}}]}}""");
        File.WriteAllBytes(path, [.. BitConverter.GetBytes((ulong)header.Length), .. header, .. values.SelectMany(BitConverter.GetBytes)]);
    }
}
