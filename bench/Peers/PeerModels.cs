using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Testing;

namespace ProxyTune.Peers;

/// <summary>A base, an expert and its anti-expert in one precision, in a temporary folder: as model folders with a catalog, and as GGUF files.</summary>
internal sealed class PeerModels : IDisposable
{
    public const string Base = "base", Expert = "expert", AntiExpert = "small";

    public const string Alone = "alone", Fused = "fused";

    private readonly DirectoryInfo root = Directory.CreateTempSubdirectory("proxytune-peers-");

    public PeerModels(string models, Widening large, Widening small, int bits)
    {
        Bits = bits;
        foreach ((string name, string source, Widening widening) in ((string, string, Widening)[])
            [(Base, "town-base", large), (Expert, "town-small-qa", small), (AntiExpert, "town-small", small)])
        {
            string full = bits == CheckpointExporter.FloatBits ? Path.Combine(Folder, name) : Path.Combine(root.FullName, "float32", name);
            WidenedModel.Write(Path.Combine(models, source), full, widening);
            if (bits != CheckpointExporter.FloatBits)
            {
                CheckpointExporter.Export(full, Path.Combine(Folder, name), bits: bits);
            }

            GgufExporter.Export(full, Gguf(name), bits);
            NeverEnd(Path.Combine(Folder, name, FileNames.GenAiConfig), VocabularySize = DecoderSpec.Read(full).VocabularySize);
        }

        File.WriteAllText(Path.Combine(Folder, FileNames.Catalog), $$"""
            { "served_models": [
              { "name": "{{Alone}}", "base": "{{Base}}", "method": "none" },
              { "name": "{{Fused}}", "base": "{{Base}}", "method": "proxy", "alpha": 1.0,
                "experts": [ { "name": "expert", "model": "{{Expert}}", "anti_expert": "{{AntiExpert}}", "weight": 1.0 } ] } ] }
            """);
    }

    public int Bits { get; }

    public int VocabularySize { get; }

    public string Folder => Directory.CreateDirectory(Path.Combine(root.FullName, "served")).FullName;

    public string Gguf(string name) => Path.Combine(root.FullName, $"{name}.gguf");

    public string Describe(string name)
    {
        DecoderSpec config = DecoderSpec.Read(Path.Combine(Folder, name));
        return $"{name} {config.Layers} layers, {config.HiddenSize} wide, {config.IntermediateSize} neurons, {new FileInfo(Gguf(name)).Length / 1e6:0.0} MB";
    }

    /// <summary>Makes the last token of the vocabulary the only end token, so that all answers have full length. Each measurement checks the lengths.</summary>
    private static void NeverEnd(string path, int vocabulary)
    {
        JsonNode config = JsonNode.Parse(File.ReadAllText(path))!;
        config["model"]!["eos_token_id"] = vocabulary - 1;
        File.WriteAllText(path, config.ToJsonString());
    }

    public void Dispose() => root.Delete(recursive: true);
}
