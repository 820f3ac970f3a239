using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Decoding;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Serving;
using ProxyTune.Testing;

namespace ProxyTune.Bench.Speculation;

/// <summary>
/// The demo family in a temporary folder, with models that cost as much as larger ones and compute the same function. So the experts draft as
/// well as those of the demo.
/// </summary>
internal sealed class WidenedFamily : IDisposable
{
    public const string Plain = "town-base", Small = "town-small", Patched = "patched";

    private const string Patch = "any";

    /// <summary>Widenings that exceed the processor's cache, as large models do. A pass of the base costs 8 to 10 passes of the small model.</summary>
    public static readonly Widening LargeBase = new(Hidden: 16, Intermediate: 4), LargeSmall = new(Hidden: 16, Intermediate: 10);

    private static readonly string[] ServedNames = [Plain, "town-qa", "town-json", "town-polite"];
    private static readonly string[] SmallNames = [Small, "town-small-qa", "town-small-json", "town-small-polite"];

    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("proxytune-widened-");

    /// <param name="large">Widening of the base.</param>
    /// <param name="small">Widening of experts and anti-expert.</param>
    /// <param name="bits">Bits of the weights of all models.</param>
    public WidenedFamily(Widening large, Widening small, int bits = CheckpointExporter.FloatBits)
    {
        Name = bits == CheckpointExporter.FloatBits ? "fp32" : $"int{bits}";
        WidenedModel.Write(Path.Combine(Repository.Models, Plain), Base, large, bits);
        foreach (string name in SmallNames)
        {
            WidenedModel.Write(Path.Combine(Repository.Models, name), Path.Combine(Folder, name), small, bits);
        }

        TinyPatch.WriteRank(Path.Combine(Folder, "patches", Patch), Path.Combine(Folder, Small), 1, PatchedStreams.Rank, TinyPatch.Modules);
        Description = $"{Describe(Plain)}, {Name}";
        File.WriteAllText(Path.Combine(Folder, FileNames.Catalog), Served().ToJsonString());
        Catalog = ModelHost.Load(Folder, new EngineOptions());
    }

    public string Name { get; }

    public string Description { get; }

    public ModelHost Catalog { get; }

    public string Folder => folder.FullName;

    public string Base => Path.Combine(Folder, Plain);

    public string Describe(string model)
    {
        DecoderSpec config = DecoderSpec.Read(Path.Combine(Folder, model));
        return $"`{model}` with {config.Layers} layers, {config.HiddenSize} wide, {config.Heads} heads, {config.IntermediateSize} neurons";
    }

    public OnnxLanguageModel Model(string served, StreamRole role) =>
        (OnnxLanguageModel)Catalog.Get(served).Plan(AskedFusion.Nothing).LoadPatches().Streams.First(stream => stream.Role == role).Model;

    public void Dispose()
    {
        Catalog.Dispose();
        folder.Delete(recursive: true);
    }

    /// <summary>
    /// The demo's served models, and one whose expert is a patch, so that expert and anti-expert are rows of one pass. That patch is random
    /// because the demo's patches do not fit wider models.
    /// </summary>
    private static JsonObject Served()
    {
        JsonNode demo = JsonNode.Parse(File.ReadAllText(Path.Combine(Repository.Models, FileNames.Catalog)))!;
        JsonNode patched = JsonNode.Parse($$"""
            { "name": "{{Patched}}", "base": "{{Plain}}", "method": "proxy", "alpha": 1.0,
              "experts": [ { "name": "any", "model": "{{Small}}", "patches": [ { "patch": "{{Patch}}", "weight": 1.0 } ], "anti_expert": "{{Small}}", "weight": 1.0 } ] }
            """)!;
        return new()
        {
            ["served_models"] = new JsonArray([.. demo["served_models"]!.AsArray().Where(model => ServedNames.Contains((string)model!["name"]!)).Select(model => model!.DeepClone()), patched]),
        };
    }
}
