using ProxyTune.Checkpoints.Import;

namespace ProxyTune.Checkpoints.Tests.Import;

public sealed class ModelSourceTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("sources-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Find_FolderOfModels_FindsEachForm()
    {
        Write("tiny/config.json", "tiny/model.safetensors");
        Write("sharded/config.json", "sharded/model-00001-of-00002.safetensors", "sharded/model-00002-of-00002.safetensors", "sharded/model.safetensors.index.json");
        Write("a.Q4_0.gguf", "b-00001-of-00002.gguf", "b-00002-of-00002.gguf", "c-1-of-2.GGUF");
        Write("served/config.json", "served/model.safetensors", "served/genai_config.json");
        Write("patch/adapter_config.json", "patch/adapter_model.safetensors", "notes.txt", "catalog.json");

        Assert.Equal(
            [("a.Q4_0", SourceKind.Gguf), ("b", SourceKind.Gguf), ("c-1-of-2", SourceKind.Gguf), ("sharded", SourceKind.HuggingFace), ("tiny", SourceKind.HuggingFace)],
            ModelSource.Find(folder).Select(source => (source.Name, source.Kind)));
    }

    [Fact]
    public void Find_HubCache_TakesTheSnapshotOfMainThroughLinks()
    {
        Write("models--org--tiny/blobs/config", "models--org--tiny/blobs/weights", "models--org--tiny/snapshots/old/config.json");
        File.WriteAllText(In("models--org--tiny/blobs/weights"), "12345");
        Directory.CreateDirectory(In("models--org--tiny/snapshots/new"));
        File.CreateSymbolicLink(In("models--org--tiny/snapshots/new/config.json"), "../../blobs/config");
        File.CreateSymbolicLink(In("models--org--tiny/snapshots/new/model.safetensors"), "../../blobs/weights");
        Directory.CreateDirectory(In("models--org--tiny/refs"));
        File.WriteAllText(In("models--org--tiny/refs/main"), "new\n");

        ModelSource source = Assert.Single(ModelSource.Find(folder));

        Assert.Equal(("tiny", In("models--org--tiny/snapshots/new")), (source.Name, source.Path));
        Assert.Equal(source, Assert.Single(ModelSource.Find(In("models--org--tiny"))));
        Assert.Equal(5, ImportRecord.Of(source, ModelImport.UsualPrecision).Files["model.safetensors"].Bytes);
    }

    [Fact]
    public void Find_SplitFile_HasAllItsParts()
    {
        Write("b-00001-of-00002.gguf", "b-00002-of-00002.gguf", "b-00001-of-00003.gguf", "bb-00002-of-00002.gguf");
        ModelSource source = Assert.Single(ModelSource.Find(In("b-00001-of-00002.gguf")));
        Assert.Equal(["b-00001-of-00002.gguf", "b-00002-of-00002.gguf"], source.Files.Select(file => file.Name));
    }

    [Fact]
    public void Find_WrongPath_NamesIt()
    {
        Write("x/config.json", "x/model.safetensors", "x.gguf", "text.txt");
        Refused("would both be served as 'x'", folder);
        Refused("is no model", In("text.txt"));
        Refused("does not exist", In("nothing"));

        static void Refused(string message, string path)
        {
            EngineException error = Assert.Throws<EngineException>(() => ModelSource.Find(path));
            Assert.Equal(EngineError.InvalidModelFolder, error.Error);
            Assert.Contains(message, error.Message, StringComparison.Ordinal);
            Assert.StartsWith(path, error.Message, StringComparison.Ordinal);
        }
    }

    private void Write(params string[] names)
    {
        foreach (string name in names)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(In(name))!);
            File.WriteAllText(In(name), "");
        }
    }

    private string In(string name) => Path.Combine(folder, name);
}
