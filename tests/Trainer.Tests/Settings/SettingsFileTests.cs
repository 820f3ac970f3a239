using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Tests.Settings;

public sealed class SettingsFileTests : IDisposable
{
    private const string Good = """
        {
          // Comments are allowed.
          "data": "town:pretrain", "tokenizer": "tok", "output": "out", "total_tokens": 1000, "tokens_per_step": 64,
          "contexts": [{ "until": 0.5, "context": 16 }, { "until": 1, "context": 32 }],
          "optimizer": { "learning_rate": 0.001 },
          "model": { "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 40, "max_position_embeddings": 32 },
        }
        """;

    private readonly string path = Path.Combine(Tiny.NewFolder(), "run.json");

    [Fact]
    public void Load_GoodFile_HasValuesAndDefaults()
    {
        File.WriteAllText(path, Good);

        PretrainSettings settings = SettingsFile.Load<PretrainSettings>(path);

        Assert.Equal((16, 16, 4096), (settings.Steps, settings.ContextAt(7), settings.MicroBatchTokens));
        Assert.Equal((32, 32), (settings.ContextAt(8), settings.ContextAt(15)));
        Assert.Equal(1, settings.Seed);
    }

    [Theory]
    [InlineData("tokens_per_step", "65", "tokens_per_step is 65; accepted is a multiple of contexts[0].context (16)")]
    [InlineData("total_tokens", "0", "total_tokens is 0; accepted is 1 to")]
    [InlineData("contexts", "[]", "contexts is 0 phases; accepted is at least one")]
    [InlineData("contexts", """[{ "until": 1, "context": 64 }]""", "contexts[0].context is 64; accepted is 1 to 32")]
    [InlineData("optimizer", """{ "learning_rate": -1 }""", "optimizer.learning_rate is -1; accepted is 1E-08 to 10")]
    [InlineData("optimizer", """{ "learning_rate": 0.1, "schedule": "step" }""", "optimizer.schedule is 'step'; accepted is cosine, linear, constant")]
    [InlineData("init", "\"somewhere\"", "model is given; accepted is exactly one of model and init")]
    [InlineData("data", "null", "data")]
    [InlineData("data", "7", "$.data")]
    [InlineData("batchsize", "7", "batchsize")]
    public void Load_WrongField_NamesFileFieldValueAndRange(string field, string value, string expected)
    {
        JsonNode node = JsonNode.Parse(Good, documentOptions: new() { CommentHandling = System.Text.Json.JsonCommentHandling.Skip, AllowTrailingCommas = true })!;
        node[field] = JsonNode.Parse(value);
        File.WriteAllText(path, node.ToJsonString());

        TrainingException error = Assert.Throws<TrainingException>(() => SettingsFile.Load<PretrainSettings>(path));

        Assert.Contains(path, error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_BadModelHeads_NamesTheRule()
    {
        File.WriteAllText(path, Good.Replace("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3", StringComparison.Ordinal));

        TrainingException error = Assert.Throws<TrainingException>(() => SettingsFile.Load<PretrainSettings>(path));

        Assert.Contains("num_key_value_heads is 3; accepted is a divisor of num_attention_heads (4)", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_UnknownModelField_NamesIt()
    {
        File.WriteAllText(path, Good.Replace("num_hidden_layers", "layers", StringComparison.Ordinal));

        TrainingException error = Assert.Throws<TrainingException>(() => SettingsFile.Load<PretrainSettings>(path));

        Assert.StartsWith($"{path}: model: layers is 2; accepted is one of vocab_size, hidden_size, ", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_MissingModelFields_HaveTheDefaults()
    {
        File.WriteAllText(path, Good);

        DecoderSpec spec = SettingsFile.Load<PretrainSettings>(path).Model!;

        Assert.Equal((4, true, 1e-5, 10_000.0), (spec.HeadSize, spec.TiedHead, spec.NormEpsilon, spec.RopeTheta));
    }

    [Fact]
    public void Load_MissingFile_NamesIt() =>
        Assert.Contains(path, Assert.Throws<TrainingException>(() => SettingsFile.Load<SftSettings>(path)).Message, StringComparison.Ordinal);

    public void Dispose() => Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
}
