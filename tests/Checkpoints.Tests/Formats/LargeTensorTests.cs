using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Checkpoints.Tests.Formats;

/// <summary>A tensor of more than 2^29 elements and 5 GB, as embeddings of large models are. The file is sparse, so it takes no room. The memory of the process is measured, so no other test runs beside.</summary>
[Collection(Alone.Name)]
public sealed class LargeTensorTests : IDisposable
{
    private const int Rows = 660_000, Columns = 2048;
    private const string Name = "model.layers.0.self_attn.q_proj.weight";
    private const long Bytes = (long)Rows * Columns * sizeof(float);

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("proxytune-large-");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public void Apply_PatchOnATensorOf5Gigabytes_NeedsFewPiecesOfMemory()
    {
        float[] last = [.. Enumerable.Range(0, Columns).Select(i => i + 0.5f)];
        string path = Write(last);
        float[] a = [.. Enumerable.Range(0, Columns).Select(i => i % 7 - 3f)], b = new float[Rows];
        (b[0], b[Rows - 1]) = (2, -1);
        string patch = Directory.CreateDirectory(Path.Combine(folder.FullName, "patch")).FullName;
        SafetensorsFile.Write(Path.Combine(patch, "adapter_model.safetensors"), [($"base_model.model.{Name.Replace(".weight", ".lora_A.weight", StringComparison.Ordinal)}", [1, Columns], a), ($"base_model.model.{Name.Replace(".weight", ".lora_B.weight", StringComparison.Ordinal)}", [Rows, 1], b)]);
        File.WriteAllText(Path.Combine(patch, "adapter_config.json"), """{"peft_type":"LORA","r":1,"lora_alpha":1}""");

        using SafetensorsFile file = SafetensorsFile.Open(path);
        TensorSource merged = PatchMerge.Apply([TensorSource.Of(file, Name)], [new(LowRankPatch.Read(patch), 1)]).Single();
        long count = 0, before = GC.GetTotalMemory(forceFullCollection: true), most = 0;
        double sum = 0;
        float[] first = [], end = [];
        foreach (ReadOnlyMemory<float> piece in merged.Pieces())
        {
            first = count == 0 ? piece[..Columns].ToArray() : first;
            end = piece[^Columns..].ToArray();
            count += piece.Length;
            sum += piece.Span[0];
            most = Math.Max(most, GC.GetTotalMemory(forceFullCollection: false) - before);
        }

        Assert.Equal((long)Rows * Columns, count);
        Assert.Equal(a.Select(value => 2 * value), first);
        Assert.Equal(last.Zip(a, (weight, value) => weight - value), end);
        Assert.InRange(most, 0, 256 << 20);
    }

    [Fact]
    public void Format_TensorsBeyond4Gigabytes_HaveTheirOffsets()
    {
        byte[] header = SafetensorsHeader.Format([new("large", [Rows, Columns], () => []), new("small", [2], () => [])]);
        Assert.Contains($"\"data_offsets\":[0,{Bytes}]", Encoding.UTF8.GetString(header), StringComparison.Ordinal);
        Assert.Contains($"\"data_offsets\":[{Bytes},{Bytes + 8}]", Encoding.UTF8.GetString(header), StringComparison.Ordinal);
    }

    private string Write(float[] last)
    {
        string path = Path.Combine(folder.FullName, "large.safetensors");
        byte[] header = SafetensorsHeader.Format([new(Name, [Rows, Columns], () => [])]);
        using FileStream file = File.Create(path);
        Span<byte> length = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        file.Write(length);
        file.Write(header);
        file.SetLength(sizeof(ulong) + header.Length + Bytes);
        file.Position = file.Length - (Columns * sizeof(float));
        file.Write(MemoryMarshal.AsBytes(last.AsSpan()));
        return path;
    }

    [CollectionDefinition(Name, DisableParallelization = true)]
    public sealed class Alone
    {
        public const string Name = "large tensors";
    }
}
