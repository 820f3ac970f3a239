using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Adapters that PEFT wrote, with the logits of their bases with and without them. A case is a folder with <c>reference.safetensors</c> and <c>expected.txt</c>.</summary>
public sealed class PublishedPatchesTests : IDisposable
{
    private const string None = "";
    private const float Tolerance = 2e-4f;

    private readonly string folder = Directory.CreateTempSubdirectory("peft-").FullName;

    public static TheoryData<string> Cases() => [.. Found().DefaultIfEmpty(None)];

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [SkippableTheory]
    [MemberData(nameof(Cases))]
    public void Patch_OfPeft_GivesTheReferencesLogitsOrIsRefusedByName(string name)
    {
        Skip.If(name == None, "There are no adapters in the reference data.");
        string adapter = Path.Combine(SharedData.Folder("peft")!, name);
        using JsonDocument config = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(adapter, "adapter_config.json")));
        string checkpoint = Path.Combine(SharedData.Folder("families")!, config.RootElement.GetProperty("base_model_name_or_path").GetString()!);
        CheckpointExporter.Export(checkpoint, In("base"));
        using OnnxLanguageModel model = OnnxLanguageModel.Load(In("base"), new());
        ReferenceTensors reference = new(Path.Combine(adapter, "reference.safetensors"));
        int[] tokens = reference.Integers("input_ids");
        Rows.AssertEqual(reference.Rows("base"), Rows.Fresh(model, tokens, tokens.Length), Tolerance);

        try
        {
            PatchSum patch = new([new WeightedPatch(LowRankPatch.Read(adapter), 1)]);
            model.Prepare(patch);
            using (Sequence patched = model.Start(Prompt.For(model, tokens, patch)))
            {
                Rows.AssertEqual(reference.Rows("logits"), Rows.Forward(model, new Segment(patched, default, tokens.Length)), Tolerance);
            }

            CheckpointExporter.Export(checkpoint, In("merged"), patch.Patches);
        }
        catch (EngineException error) when (File.ReadAllText(Path.Combine(adapter, "expected.txt")).Contains("refused", StringComparison.Ordinal))
        {
            Assert.Equal(EngineError.InvalidModelFolder, error.Error);
            return;
        }

        using OnnxLanguageModel merged = OnnxLanguageModel.Load(In("merged"), new());
        Rows.AssertEqual(reference.Rows("logits"), Rows.Fresh(merged, tokens, tokens.Length), Tolerance);
    }

    private string In(string name) => Path.Combine(folder, name);

    private static IEnumerable<string> Found() => SharedData.Folder("peft") is not { } all || SharedData.Folder("families") is null
        ? []
        : Directory.EnumerateDirectories(all).Where(each => File.Exists(Path.Combine(each, "expected.txt"))).Select(each => Path.GetFileName(each)).Order(StringComparer.Ordinal);
}
