using System.Text.Json.Nodes;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

public sealed class CheckpointTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("checkpoint-").FullName;

    public CheckpointTests() => TinyModel.WriteCheckpoint(folder);

    private string Weights => Path.Combine(folder, "model.safetensors");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Export_AlphabeticalFile_PlacesPackedTensorsSideBySide()
    {
        CheckpointExporter.Export(folder, folder);

        using SafetensorsFile file = SafetensorsFile.Open(Weights);
        SafetensorsTensor Of(string part) => file.Tensors[$"model.layers.1.{part}.weight"];
        AssertAdjacent(Of("self_attn.q_proj"), Of("self_attn.k_proj"), Of("self_attn.v_proj"));
        AssertAdjacent(Of("mlp.gate_proj"), Of("mlp.up_proj"));
    }

    [Fact]
    public void Export_IntoItselfTwice_ChangesNothing()
    {
        CheckpointExporter.Export(folder, folder);
        string[] first = Contents(folder);

        CheckpointExporter.Export(folder, folder);

        Assert.Equal(first, Contents(folder));
        Assert.DoesNotContain(first, file => file.StartsWith("model.onnx.data", StringComparison.Ordinal));
    }

    [Fact]
    public void Export_IntoAnotherFolder_WritesAWholeCheckpoint()
    {
        string target = Path.Combine(folder, "served");

        CheckpointExporter.Export(folder, target);

        int[] ids = [5, 80, 81];
        Assert.Equal(new SlowLlama(folder).Logits(ids)[2], new SlowLlama(target).Logits(ids)[2]);
        Assert.True(File.Exists(Path.Combine(target, "tokenizer.json")));
        Assert.True(File.Exists(Path.Combine(target, "tokenizer_config.json")));
    }

    [Fact]
    public void Export_MissingTensor_NamesIt()
    {
        Rewrite(tensors => tensors.Where(t => t.Name != "model.layers.1.mlp.up_proj.weight"));

        AssertRefused("'model.layers.1.mlp.up_proj.weight'");
    }

    [Fact]
    public void Export_TensorOfAnotherShape_NamesBoth()
    {
        Change("intermediate_size", 64);

        AssertRefused("model.layers.0.mlp.gate_proj.weight' is [48, 32]; config.json makes it [64, 32]");
    }

    [Theory]
    [InlineData("model_type", "gpt2", "model_type is gpt2")]
    [InlineData("hidden_act", "mish", "hidden_act is mish")]
    [InlineData("num_key_value_heads", 3, "num_key_value_heads is 3")]
    [InlineData("head_dim", 7, "head_dim is 7")]
    [InlineData("num_hidden_layers", 0, "num_hidden_layers is 0")]
    [InlineData("vocab_size", -5, "vocab_size is -5")]
    [InlineData("attention_bias", true, "no tensor 'model.layers.0.self_attn.q_proj.bias'")]
    [InlineData("hidden_size", "wide", "config.json")]
    [InlineData("hidden_size", null, "config.json")]
    [InlineData("eos_token_id", null, "eos_token_id")]
    public void Read_UnsupportedValue_NamesIt(string field, object? value, string named)
    {
        Change(field, value);

        AssertRefused(named);
    }

    [Fact]
    public void Read_NoConfig_NamesTheFile()
    {
        File.Delete(Path.Combine(folder, "config.json"));

        AssertRefused("config.json");
    }

    [Fact]
    public void Read_GenerationConfig_OverridesTheEndTokens()
    {
        File.WriteAllText(Path.Combine(folder, "generation_config.json"), """{"eos_token_id":[3,4]}""");

        Assert.Equal([3, 4], DecoderSpec.Read(folder).EndIds);

        CheckpointExporter.Export(folder, folder);
        JsonNode written = JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "genai_config.json")))!["model"]!["eos_token_id"]!;
        Assert.Equal("[3,4]", written.ToJsonString());
    }

    [Fact]
    public void Read_MissingFields_HaveTransformersDefaults()
    {
        foreach (string? field in new[] { "num_key_value_heads", "head_dim", "rope_theta", "rms_norm_eps", "tie_word_embeddings" })
        {
            Change(field, null);
        }

        DecoderSpec config = DecoderSpec.Read(folder);

        Assert.Equal((4, 8, 10_000.0, 1e-6, false), (config.KeyValueHeads, config.HeadSize, config.RopeTheta, config.NormEpsilon, config.TiedHead));
    }

    private static void AssertAdjacent(params SafetensorsTensor[] tensors) =>
        Assert.All(tensors.Zip(tensors.Skip(1)), pair => Assert.Equal(pair.First.Offset + pair.First.Length, pair.Second.Offset));

    private static string[] Contents(string folder) =>
        [.. Directory.GetFiles(folder).Order().Select(file => Path.GetFileName(file) + Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file))))];

    private void AssertRefused(string named)
    {
        EngineException error = Assert.Throws<EngineException>(() => CheckpointExporter.Export(folder, Path.Combine(folder, "out")));
        Assert.Equal(EngineError.InvalidModelFolder, error.Error);
        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    private void Change(string field, object? value)
    {
        string path = Path.Combine(folder, "config.json");
        JsonObject json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        json[field] = value switch { null => null, int number => number, bool flag => flag, _ => (string)value };
        File.WriteAllText(path, json.ToJsonString());
    }

    private void Rewrite(Func<IEnumerable<(string Name, int[] Shape, float[] Data)>, IEnumerable<(string Name, int[] Shape, float[] Data)>> change)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Weights);
        SafetensorsFile.Write(Weights, change(file.Tensors.Values.Select(t => (t.Name, t.Shape.ToArray(), file.ReadFloat32(t.Name)))));
    }
}
