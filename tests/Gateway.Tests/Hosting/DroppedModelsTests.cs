using ProxyTune.Checkpoints;
using ProxyTune.Decoding;
using ProxyTune.Decoding.Serving;
using ProxyTune.Gateway.Hosting;
using ProxyTune.Gateway.Models;
using ProxyTune.Testing;

namespace ProxyTune.Gateway.Tests.Hosting;

/// <summary>Tests models that a user drops into the models folder as they were published.</summary>
public sealed class DroppedModelsTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("dropped-").FullName;

    public DroppedModelsTests()
    {
        TinyModel.WriteCheckpoint(In("published"));
        TinyModel.Write(In("ready"), new() { Seed = 2 });
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Prepare_FolderOfBothForms_ServesAllAndEntriesMayNameThem()
    {
        File.WriteAllText(In("catalog.json"), """{"served_models":[{"name":"fused","base":"published","method":"proxy","experts":[{"name":"e","model":"ready","anti_expert":"published"}]}]}""");
        using StringWriter output = new();

        ModelFolders models = DroppedModels.Prepare(folder, new(), output);
        using ModelHost host = ModelHost.Load(models, new EngineOptions());

        Assert.Equal(["fused", "ready"], host.Models.Select(model => model.Name));
        Assert.Contains("Importing published: 100", output.ToString(), StringComparison.Ordinal);
        output.GetStringBuilder().Clear();
        Assert.Equal(models.Folders, DroppedModels.Prepare(folder, new(), output).Folders);
        Assert.Equal("", output.ToString());
    }

    [Fact]
    public void Prepare_PublishedFolderItself_ServesItAloneUnderItsName()
    {
        using StringWriter output = new();
        using ModelHost host = ModelHost.Load(DroppedModels.Prepare(In("published"), new(), output), new EngineOptions());
        ServedModel model = Assert.Single(host.Models);
        Assert.Equal("published", model.Name);
        Assert.Equal("published (from published, llama, fp32, no licence named, context 128)", DroppedModels.Describe(model));
        ModelOrigin origin = ModelsEndpoint.Describe(model).Origin!;
        Assert.Equal(("published", "llama", "fp32", null), (origin.Name, origin.Family, origin.Precision, origin.Licence));
        Assert.Equal(["model.safetensors"], origin.Files.Keys);
    }

    [Fact]
    public void Prepare_OtherCacheAndPrecision_KeepsTheImportThere()
    {
        using StringWriter output = new();
        ModelFolders models = DroppedModels.Prepare(In("published"), new("int8", In("elsewhere")), output);
        Assert.Equal(Path.Combine(In("elsewhere"), "published.int8"), models.Folders["published"]);
        Assert.False(Directory.Exists(In(".proxytune")));
    }

    [Fact]
    public void Prepare_ReadyFolder_IsServedAsItIs()
    {
        using StringWriter output = new();
        Assert.Equal(In("ready"), DroppedModels.Prepare(In("ready"), new(), output).Folders["ready"]);
        Assert.Equal("", output.ToString());
    }

    [Fact]
    public void Prepare_NothingThere_NamesThePath() => Assert.Contains(
        In("nothing"), Assert.Throws<EngineException>(() => DroppedModels.Prepare(In("nothing"), new(), TextWriter.Null)).Message, StringComparison.Ordinal);

    private string In(string name) => Path.Combine(folder, name);
}
