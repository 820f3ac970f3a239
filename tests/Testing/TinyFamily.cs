using System.Text.Json;

namespace ProxyTune.Testing;

/// <summary>A models folder in the temporary folder, with a base, an expert, its anti-expert, and a catalog that fuses them.</summary>
public sealed class TinyFamily : IDisposable
{
    public const string Fused = "town-qa";
    public const string Plain = "plain";

    /// <summary>Name of the base served alone, with the same prompts as in <see cref="Fused"/>.</summary>
    public const string PlainAsServed = "plain-as-served";
    public const string Base = "base";
    public const string Expert = "small-qa";
    public const string AntiExpert = "small";
    public const int ContextLength = 128;

    public TinyFamily()
    {
        Folder = Directory.CreateTempSubdirectory("proxytune-").FullName;
        WriteModel(Base, seed: 1);
        WriteModel(Expert, seed: 2);
        WriteModel(AntiExpert, seed: 3);
        WriteCatalog(new { served_models = new[] { FusedEntry(), PlainEntry(), PlainAsServedEntry() } });
    }

    public string Folder { get; }

    public string PathOf(params string[] parts) => Path.Combine([Folder, .. parts]);

    public void WriteModel(string name, int seed, int shift = 0)
    {
        Directory.CreateDirectory(PathOf(name));
        TinyModel.Write(PathOf(name), new TinyModelOptions { Seed = seed, TokenizerShift = shift, Context = ContextLength });
    }

    public void WriteCatalog(object catalog) => WriteCatalogText(JsonSerializer.Serialize(catalog));

    public void WriteCatalogText(string json) => File.WriteAllText(PathOf("catalog.json"), json);

    public static Dictionary<string, object?> FusedEntry() => new()
    {
        ["name"] = Fused,
        ["description"] = "answers briefly",
        ["base"] = Base,
        ["method"] = "proxy",
        ["alpha"] = 1.0,
        ["alpha_range"] = new[] { 0.0, 2.0 },
        ["experts"] = new[] { ExpertEntry() },
        ["prompts"] = new { @base = new { template = "plain" }, expert = new { template = "chat" }, anti_expert = new { template = "chat" } },
    };

    public static Dictionary<string, object?> ExpertEntry() => new()
    {
        ["name"] = "qa",
        ["model"] = Expert,
        ["anti_expert"] = AntiExpert,
        ["weight"] = 1.0,
        ["weight_range"] = new[] { -1.0, 1.5 },
    };

    public static Dictionary<string, object?> PlainEntry() => new() { ["name"] = Plain, ["base"] = Base, ["method"] = "none" };

    public static Dictionary<string, object?> PlainAsServedEntry() => new()
    {
        ["name"] = PlainAsServed,
        ["base"] = Base,
        ["method"] = "none",
        ["prompts"] = new { @base = new { template = "plain" } },
    };

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
