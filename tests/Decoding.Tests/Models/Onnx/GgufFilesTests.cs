using ProxyTune.Checkpoints.Import;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>GGUF files in many tensor types, with the logits of transformers on their dequantised weights. A case is NAME.gguf beside NAME.safetensors.</summary>
public sealed class GgufFilesTests : IDisposable
{
    private const string None = "";
    private const float Tolerance = 2e-4f;

    private readonly string folder = Directory.CreateTempSubdirectory("gguf-").FullName;

    public static TheoryData<string> Cases() => [.. Found().DefaultIfEmpty(None)];

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [SkippableTheory]
    [MemberData(nameof(Cases))]
    public void Import_GgufFile_GivesTheReferencesLogits(string name)
    {
        Skip.If(name == None, "There are no GGUF files in the reference data.");
        ModelSource source = ModelSource.Find(Path.Combine(SharedData.Folder("gguf")!, name))[0];
        ReferenceTensors reference = new(Path.Combine(SharedData.Folder("gguf")!, Reference(name)));
        int[] tokens = reference.Integers("input_ids");

        using OnnxLanguageModel model = OnnxLanguageModel.Load(ModelImport.IntoCache(source, folder, "fp32"), new());

        Rows.AssertEqual(reference.Rows("logits"), Rows.Fresh(model, tokens, tokens.Length), Tolerance);
    }

    /// <summary>The reference of a split file has no number of a part in its name.</summary>
    private static string Reference(string name) => (name.Split("-00001-of-") is [var split, _] ? $"{split}-split" : Path.GetFileNameWithoutExtension(name)) + ".safetensors";

    private static IEnumerable<string> Found() => SharedData.Folder("gguf") is not { } all
        ? []
        : ModelSource.Find(all).Select(source => Path.GetFileName(source.Path)).Where(name => File.Exists(Path.Combine(all, Reference(name))));
}
