using System.Globalization;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Decoding;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Testing;

namespace ProxyTune.Bench;

/// <summary>The models folder and the served model that are measured.</summary>
internal sealed class Family : IDisposable
{
    private readonly bool isTemporary;

    private Family(string folder, bool isTemporary, string? served)
    {
        Folder = folder;
        this.isTemporary = isTemporary;
        using ModelHost catalog = ModelHost.Load(folder, new EngineOptions());
        ServedModel model = served is null ? catalog.Models.FirstOrDefault(m => m.Experts.Count > 0) ?? catalog.Models[0] : catalog.Get(served);
        Served = model.Name;
        ContextLength = model.ContextLength;
        EndOfTextIds = catalog.Ensemble.Info.EndOfTextIds;
        VocabularySize = model.VocabularySize;
        Members = [.. model.Plan(AskedFusion.Nothing).LoadPatches().Streams.Select(stream => Path.Combine(folder, stream.Model.Info.Name)).Distinct()];
    }

    public string Folder { get; }

    public string Served { get; }

    public int ContextLength { get; }

    public int VocabularySize { get; }

    public IReadOnlyList<int> EndOfTextIds { get; }

    /// <summary>Folders of the models that a fused token needs; the base comes first.</summary>
    public IReadOnlyList<string> Members { get; }

    public string Description =>
        $"`{Served}` of {(isTemporary ? "a stand-in with random weights and the demo family's sizes" : $"`{Path.GetRelativePath(Repository.Root, Folder)}`")}, " +
        $"{VocabularySize} words; one pass each of {string.Join(", ", Members.Select(member => $"{Path.GetFileName(member)} ({Megabytes(member)} MB)"))}";

    /// <param name="folder">Models folder. Null means the models of the checkout, or a stand-in if it has none.</param>
    /// <param name="served">Name of the served model. Null means the first one with experts.</param>
    public static Family Open(string? folder, string? served)
    {
        folder ??= Repository.Models;
        return Directory.EnumerateFiles(folder, FileNames.GenAiConfig, SearchOption.AllDirectories).Any()
            ? new(folder, false, served)
            : new(StandIn(), true, served);
    }

    public ModelHost Load() => ModelHost.Load(Folder, new EngineOptions());

    /// <summary>A random prompt of the given length for every stream; <paramref name="variant"/> is its seed.</summary>
    public Prompt Prompt(ModelHost catalog, int length, int variant)
    {
        return catalog.Get(Served).Plan(AskedFusion.Nothing).Render(Tokens(length, variant));
    }

    public int[] Tokens(int length, int variant)
    {
        Random random = new(variant);
        return [.. Enumerable.Range(0, length).Select(_ => random.Next(VocabularySize)).Select(id => EndOfTextIds.Contains(id) ? VocabularySize / 2 : id)];
    }

    public void Dispose()
    {
        if (isTemporary)
        {
            Directory.Delete(Folder, recursive: true);
        }
    }

    private static string Megabytes(string folder) =>
        (Directory.GetFiles(folder).Where(file => !file.EndsWith(".json", StringComparison.Ordinal)).Sum(file => new FileInfo(file).Length) / 1e6)
            .ToString("0.0", CultureInfo.InvariantCulture);

    private static string StandIn()
    {
        string folder = Directory.CreateTempSubdirectory("proxytune-bench-").FullName;
        TinyModelOptions small = new() { Hidden = 64, Layers = 3, Heads = 4, HeadSize = 16, KeyValueHeads = 2, Intermediate = 128, Vocabulary = 1792, Context = 1024 };
        TinyModel.Write(
            Path.Combine(folder, "base"), small with { Hidden = 192, Layers = 5, Heads = 6, HeadSize = 32, Intermediate = 512 });
        TinyModel.Write(Path.Combine(folder, "small"), small with { Seed = 2 });
        TinyModel.Write(Path.Combine(folder, "small-qa"), small with { Seed = 3 });
        File.WriteAllText(Path.Combine(folder, FileNames.Catalog), """
            { "served_models": [ { "name": "qa", "base": "base", "method": "proxy", "alpha": 1.0,
              "experts": [ { "name": "qa", "model": "small-qa", "anti_expert": "small", "weight": 1.0 } ] } ] }
            """);
        return folder;
    }
}
