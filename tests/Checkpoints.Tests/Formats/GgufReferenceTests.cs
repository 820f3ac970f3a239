using System.Diagnostics;
using System.Text.Json;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Testing;
using Xunit.Abstractions;

namespace ProxyTune.Checkpoints.Tests.Formats;

/// <summary>Files of gguf-py and llama.cpp, compared with what ggml's own code makes of them.</summary>
public sealed class GgufReferenceTests(ITestOutputHelper output)
{
    [SkippableFact]
    public void ReadPieces_ReferenceFiles_ValuesEqualGgml()
    {
        int files = 0, tensors = 0;
        HashSet<string> types = [];
        foreach (string reference in ReferenceData.Files("gguf", "reference.json"))
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(reference));
            foreach (JsonProperty entry in document.RootElement.GetProperty("models").EnumerateObject().SelectMany(model => model.Value.GetProperty("files").EnumerateObject()))
            {
                using GgufFile file = GgufFile.Open(Path.Combine(Path.GetDirectoryName(reference)!, entry.Value.GetProperty("files")[0].GetString()!));
                using GgufCheckpoint checkpoint = GgufCheckpoint.Open(file.Path);
                JsonProperty[] expected = [.. entry.Value.GetProperty("tensors").EnumerateObject()];
                Assert.All(expected, tensor => Check(file, tensor, $"{entry.Name} {tensor.Name}"));
                Assert.Equal(expected.Select(tensor => tensor.Name).Order(), file.Tensors.Keys.Order());
                Assert.Equal(
                    expected.Select(tensor => tensor.Value.GetProperty("hf_name").GetString()).Where(name => name is not null && name.StartsWith("model.", StringComparison.Ordinal) | name.StartsWith("lm_head", StringComparison.Ordinal)).Order(),
                    checkpoint.Names.Order());
                Assert.All(expected, tensor => CheckName(checkpoint, tensor));
                types.UnionWith(expected.Select(tensor => tensor.Value.GetProperty("type").GetString()!));
                (files, tensors) = (files + 1, tensors + expected.Length);
            }
        }

        output.WriteLine($"{files} files, {tensors} tensors, types {string.Join(", ", types)}");
        Skip.If(files == 0, ReferenceData.Missing);
    }

    [SkippableFact]
    public void ReadPieces_RealModels_ValuesAndOrderOfRowsEqualTheReference()
    {
        int tensors = 0;
        foreach (string reference in ReferenceData.Files("", "weights.json", SearchOption.AllDirectories))
        {
            string folder = Path.GetDirectoryName(reference)!;
            using GgufCheckpoint checkpoint = GgufCheckpoint.Open(Assert.Single(Directory.GetFiles(folder, "*.gguf")));
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(reference));
            foreach (JsonProperty tensor in document.RootElement.GetProperty("tensors").EnumerateObject())
            {
                Check(checkpoint.File, tensor, tensor.Name);
                CheckName(checkpoint, tensor);
                float[] ours = checkpoint.Tensor(tensor.Value.GetProperty("hf_name").GetString()!).Pieces().SelectMany(piece => piece.ToArray()).ToArray();
                if (tensor.Value.TryGetProperty("hf_rows_first", out JsonElement rows))
                {
                    int columns = tensor.Value.GetProperty("shape")[1].GetInt32();
                    Assert.All(rows.EnumerateObject(), row => Assert.Equal(Floats(row.Value), ours.AsSpan(int.Parse(row.Name, System.Globalization.CultureInfo.InvariantCulture) * columns, 8).ToArray()));
                }

                tensors++;
            }
        }

        output.WriteLine($"{tensors} tensors");
        Skip.If(tensors == 0, ReferenceData.Missing);
    }

    [SkippableFact]
    public void Open_MalformedFiles_AreRefusedWithAReasonInASecond()
    {
        int refused = 0;
        double slowest = 0;
        foreach (string path in ReferenceData.Files("gguf/bad", "*.gguf"))
        {
            if (Path.GetFileName(path).StartsWith("good", StringComparison.Ordinal))
            {
                GgufCheckpoint.Open(path).Dispose();
                continue;
            }

            long allocated = GC.GetAllocatedBytesForCurrentThread();
            Stopwatch watch = Stopwatch.StartNew();
            EngineException error = Assert.Throws<EngineException>(() => GgufCheckpoint.Open(path));
            slowest = Math.Max(slowest, watch.Elapsed.TotalMilliseconds);
            output.WriteLine(error.MessageWithoutFolder);
            Assert.Equal(EngineError.InvalidModelFolder, error.Error);
            Assert.StartsWith(path, error.Message, StringComparison.Ordinal);
            Assert.InRange(watch.Elapsed.TotalSeconds, 0, 1);
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - allocated, 0, 64 << 20);
            refused++;
        }

        output.WriteLine($"{refused} refused, the slowest after {slowest:F1} ms");
        Skip.If(refused == 0, ReferenceData.Missing);
    }

    [SkippableFact]
    public void Of_ReferenceFiles_KeptBlocksStandForTheVeryWeights()
    {
        int tensors = 0;
        float deviation = 0;
        foreach (string path in ReferenceData.Files("gguf", "*.gguf").Where(path => !path.Contains("-of-", StringComparison.Ordinal) || path.Contains("-00001-of-", StringComparison.Ordinal)))
        {
            using GgufCheckpoint checkpoint = GgufCheckpoint.Open(path);
            foreach (string name in checkpoint.Names)
            {
                if (checkpoint.FindBlocks(name) is not { } pieces)
                {
                    continue;
                }

                KeptBlocks kept = Assert.Single(pieces);
                float[] expected = [.. checkpoint.Tensor(name).Pieces().SelectMany(piece => piece.ToArray())];
                Assert.Equal(expected, kept.Dequantize());
                deviation = Math.Max(deviation, kept.WithZeroPoints().Deviation / expected.Max(Math.Abs));
                tensors++;
            }
        }

        output.WriteLine($"{tensors} tensors; with float zero points at most {deviation:E1} of the largest weight");
        Assert.InRange(deviation, 0, 1e-6f);
        Skip.If(tensors == 0, ReferenceData.Missing);
    }

    private static void CheckName(GgufCheckpoint checkpoint, JsonProperty tensor)
    {
        if (tensor.Value.GetProperty("hf_name").GetString() is { } name && checkpoint.Names.Contains(name))
        {
            Assert.Equal(tensor.Name, checkpoint.InFile(name).Name);
        }
    }

    private static void Check(GgufFile file, JsonProperty tensor, string name)
    {
        JsonElement expected = tensor.Value;
        Assert.Equal(expected.GetProperty("type").GetString(), file.Tensors[tensor.Name].Type.ToString());
        Assert.Equal(expected.GetProperty("shape").EnumerateArray().Select(size => size.GetInt32()), file.Tensors[tensor.Name].Shape);
        float[] values = file.ReadFloat32(tensor.Name);
        int stride = expected.GetProperty("stride").GetInt32();
        Assert.True(Floats(expected.GetProperty("strided")).SequenceEqual(Enumerable.Range(0, 8).Select(i => values[i * stride])), name);
        Assert.Equal(expected.GetProperty("abs_max").GetSingle(), values.Max(Math.Abs));
        double mean = expected.GetProperty("mean").GetDouble();
        Assert.Equal(mean, values.Average(value => (double)value), 1e-12);
        if (expected.TryGetProperty("first", out JsonElement first))
        {
            Assert.Equal(Floats(first), values[..first.GetArrayLength()]);
        }
    }

    private static float[] Floats(JsonElement list) => [.. list.EnumerateArray().Select(value => value.GetSingle())];
}
