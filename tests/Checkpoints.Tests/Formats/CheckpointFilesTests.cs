using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Testing;

namespace ProxyTune.Checkpoints.Tests.Formats;

public sealed class CheckpointFilesTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("files-").FullName;

    public CheckpointFilesTests() => TinyModel.WriteCheckpoint(folder);

    private string Index => Path.Combine(folder, "model.safetensors.index.json");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Export_SeveralFiles_EqualsTheExportOfOneFile()
    {
        CheckpointExporter.Export(folder, Path.Combine(folder, "one"));
        string lineage = Lineage.Of(folder)!;
        Divide();

        CheckpointExporter.Export(folder, Path.Combine(folder, "several"));

        foreach (string name in (string[])["model.safetensors", "model.onnx", "genai_config.json"])
        {
            Assert.Equal(File.ReadAllBytes(Path.Combine(folder, "one", name)), File.ReadAllBytes(Path.Combine(folder, "several", name)));
        }

        Assert.Equal(lineage, Lineage.Of(folder));
    }

    [Fact]
    public void Export_MissingFile_NamesIt()
    {
        Divide();
        File.Delete(Path.Combine(folder, "b.safetensors"));

        AssertRefused("b.safetensors: no such file");
    }

    [Theory]
    [InlineData("""{ "weight_map": { "model.norm.weight": "../b.safetensors" } }""", "weight_map.model.norm.weight is ../b.safetensors; accepted is the name of a file in the same folder")]
    [InlineData("""{ "weight_map": { "model.norm.weight": 1 } }""", "weight_map.model.norm.weight is 1; accepted is the name of a file")]
    [InlineData("""{ "weight_map": { "model.embed_tokens.weight": "b.safetensors" } }""", "tensor 'model.embed_tokens.weight' is said to be in b.safetensors, which does not have it")]
    [InlineData("""{ "weight_map": { "model.norm.weight": "b.safetensors" } }""", "no tensor 'model.embed_tokens.weight'")]
    [InlineData("""{ "weight_map": {} }""", "weight_map is empty")]
    [InlineData("""{ }""", "weight_map is missing")]
    public void Export_BrokenIndex_NamesWhatIsWrong(string index, string expected)
    {
        Divide();
        File.WriteAllText(Index, index);

        AssertRefused(expected);
    }

    [Fact]
    public void Export_Pickle_IsRefusedByName()
    {
        File.Move(Path.Combine(folder, "model.safetensors"), Path.Combine(folder, "pytorch_model.bin"));

        AssertRefused("pytorch_model.bin may be a pickle");
    }

    [Theory]
    [InlineData(0f, false)]
    [InlineData(0.5f, true)]
    public void Export_HeadBesideTheTie_MustBeTheEmbedding(float added, bool isRefused)
    {
        string path = Path.Combine(folder, "model.safetensors");
        using (SafetensorsFile file = SafetensorsFile.Open(path))
        {
            float[] head = file.ReadFloat32("model.embed_tokens.weight");
            head[^1] += added;
            SafetensorsFile.Write(path, file.Tensors.Values.Select(tensor => (tensor.Name, tensor.Shape.ToArray(), file.ReadFloat32(tensor.Name)))
                .Append(("lm_head.weight", [.. file.Tensors["model.embed_tokens.weight"].Shape], head)));
        }

        if (isRefused)
        {
            AssertRefused("'lm_head.weight' differs from 'model.embed_tokens.weight', and tie_word_embeddings of config.json is true");
        }
        else
        {
            CheckpointExporter.Export(folder, Path.Combine(folder, "out"));
        }
    }

    /// <summary>Divides model.safetensors into two files.</summary>
    private void Divide()
    {
        string whole = Path.Combine(folder, "model.safetensors");
        using (SafetensorsFile file = SafetensorsFile.Open(whole))
        {
            (string Name, int[] Shape, float[] Data)[] tensors = [.. file.Tensors.Values.Select(tensor => (tensor.Name, tensor.Shape.ToArray(), file.ReadFloat32(tensor.Name))).OrderBy(tensor => tensor.Name, StringComparer.Ordinal)];
            string[] names = [.. tensors.Select((tensor, i) => $"\"{tensor.Name}\": \"{(i < 3 ? "a" : "b")}.safetensors\"")];
            SafetensorsFile.Write(Path.Combine(folder, "a.safetensors"), tensors[..3]);
            SafetensorsFile.Write(Path.Combine(folder, "b.safetensors"), tensors[3..]);
            File.WriteAllText(Index, $$"""{ "metadata": {}, "weight_map": { {{string.Join(", ", names)}} } }""");
        }

        File.Delete(whole);
    }

    private void AssertRefused(string expected)
    {
        EngineException error = Assert.Throws<EngineException>(() => CheckpointExporter.Export(folder, Path.Combine(folder, "out")));
        Assert.Equal(EngineError.InvalidModelFolder, error.Error);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }
}
