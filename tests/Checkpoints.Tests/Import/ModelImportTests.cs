using ProxyTune.Checkpoints.Import;
using ProxyTune.Testing;

namespace ProxyTune.Checkpoints.Tests.Import;

public sealed class ModelImportTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("import-").FullName;
    private readonly ModelSource source;
    private readonly string cache;

    public ModelImportTests()
    {
        TinyModel.WriteCheckpoint(In("tiny"));
        source = ModelSource.Find(In("tiny"))[0];
        cache = ModelImport.CacheFor(source);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void IntoCache_SecondTime_TakesWhatIsThere()
    {
        Dictionary<string, DateTime> untouched = Written(In("tiny"));
        string first = ModelImport.IntoCache(source, cache);
        Dictionary<string, DateTime> written = Written(first);
        Progress progress = new();

        Assert.Equal(first, ModelImport.IntoCache(source, cache, progress: progress));

        Assert.Equal(Path.Combine(In(".proxytune"), "tiny.fp32"), first);
        Assert.Equal(written, Written(first));
        Assert.Equal(untouched, Written(In("tiny")));
        Assert.Empty(progress.Reported);
        Assert.All(["genai_config.json", "model.onnx", "tokenizer.json", "import.json"], name => Assert.True(File.Exists(Path.Combine(first, name))));
        Assert.Equal([first], Directory.GetDirectories(cache));
    }

    [Theory]
    [InlineData("config.json")]
    [InlineData("model.safetensors")]
    [InlineData("tokenizer.json")]
    public void IntoCache_SourceHasChanged_ImportsAnew(string changed)
    {
        string first = ModelImport.IntoCache(source, cache);
        DateTime before = File.GetLastWriteTimeUtc(Path.Combine(first, "model.onnx"));
        File.SetLastWriteTimeUtc(Path.Combine(source.Path, changed), DateTime.UtcNow.AddMinutes(1));
        Progress progress = new();

        Assert.Equal(first, ModelImport.IntoCache(source, cache, progress: progress));

        Assert.NotEqual(before, File.GetLastWriteTimeUtc(Path.Combine(first, "model.onnx")));
        Assert.Equal(1, progress.Reported[^1]);
    }

    [Fact]
    public void IntoCache_ProcessWasKilledBefore_LeavesNoHalfModel()
    {
        Directory.CreateDirectory(Path.Combine(cache, "tiny.fp32.partial"));
        File.WriteAllText(Path.Combine(cache, "tiny.fp32.partial", "genai_config.json"), "half");
        Directory.CreateDirectory(Path.Combine(cache, "tiny.fp32.old"));

        string done = ModelImport.IntoCache(source, cache);

        Assert.Equal([done], Directory.GetDirectories(cache));
        Assert.NotEqual("half", File.ReadAllText(Path.Combine(done, "genai_config.json")));
    }

    [Fact]
    public void IntoCache_SourceIsBroken_NamesTheFileAndLeavesTheEarlierImport()
    {
        string done = ModelImport.IntoCache(source, cache);
        byte[] weights = File.ReadAllBytes(Path.Combine(source.Path, "model.safetensors"));
        File.WriteAllBytes(Path.Combine(source.Path, "model.safetensors"), weights[..^100]);

        EngineException error = Assert.Throws<EngineException>(() => ModelImport.IntoCache(source, cache));

        Assert.Contains("model.safetensors", error.Message, StringComparison.Ordinal);
        Assert.Equal([done], Directory.GetDirectories(cache));
        Assert.True(File.Exists(Path.Combine(done, "model.onnx")));
    }

    [Fact]
    public async Task IntoCache_SeveralAtOnce_ImportOnceAndWaitForEachOther()
    {
        Progress[] progress = [.. Enumerable.Range(0, 4).Select(_ => new Progress())];
        string[] done = await Task.WhenAll(progress.Select(each => Task.Run(() => ModelImport.IntoCache(source, cache, progress: each))));

        Assert.Single(done.Distinct());
        Assert.Single(progress, each => each.Reported.Count > 0);
    }

    [Fact]
    public void Into_FolderIsThere_IsRefusedUnlessToldToReplace()
    {
        Directory.CreateDirectory(In("mine"));
        File.WriteAllText(In("mine/notes.txt"), "mine");

        EngineException error = Assert.Throws<EngineException>(() => ModelImport.Into(source, In("mine")));

        Assert.Equal((EngineError.Conflict, "name"), (error.Error, error.Field));
        Assert.Equal(["notes.txt"], Directory.GetFiles(In("mine")).Select(file => Path.GetFileName(file)));
        Assert.Equal(In("mine"), ModelImport.Into(source, In("mine"), replaces: true));
        Assert.False(File.Exists(In("mine/notes.txt")));
        Assert.Equal(In("mine"), ModelImport.Into(source, In("mine")));
    }

    [Fact]
    public void Into_UnknownPrecision_NamesTheAccepted()
    {
        EngineException error = Assert.Throws<EngineException>(() => ModelImport.Into(source, In("x"), "int2"));
        Assert.Equal(("precision", EngineError.InvalidValue), (error.Field, error.Error));
        Assert.Contains("fp32, int8, int4", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("fp32", "MatMulNBits", false)]
    [InlineData("int8", "MatMulNBits", true)]
    [InlineData("int4", "MatMulNBits", true)]
    public void Into_Precision_GivesThatGraph(string precision, string node, bool has)
    {
        string done = ModelImport.IntoCache(source, cache, precision);
        Onnx.ModelProto graph = Onnx.ModelProto.Parser.ParseFrom(File.ReadAllBytes(Path.Combine(done, "model.onnx")));
        Assert.Equal(has, graph.Graph.Node.Any(one => one.OpType == node));
        Assert.Equal((precision, source.Path), (ImportRecord.TryRead(done)!.Precision, ImportRecord.TryRead(done)!.Source));
    }

    [Fact]
    public void IntoCache_Record_TellsFilesFamilyAndLicence()
    {
        File.WriteAllText(In("tiny/README.md"), "---\nlanguage: en\nlicense: apache-2.0\n---\nlicense: none\n");
        ImportRecord record = ImportRecord.TryRead(ModelImport.IntoCache(source, cache))!;
        Assert.Equal(("llama", "apache-2.0"), (record.Family, record.Licence));
        Assert.Equal(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(In("tiny/model.safetensors")))), record.Files["model.safetensors"].Hash);
    }

    private static Dictionary<string, DateTime> Written(string folder) => Directory.GetFiles(folder).ToDictionary(file => file, File.GetLastWriteTimeUtc);

    private string In(string name) => Path.Combine(folder, name);

    private sealed class Progress : IProgress<double>
    {
        public List<double> Reported { get; } = [];

        public void Report(double value) => Reported.Add(value);
    }
}
