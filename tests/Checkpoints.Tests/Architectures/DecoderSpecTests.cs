using System.Text;
using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Architectures;

namespace ProxyTune.Checkpoints.Tests.Architectures;

public sealed class DecoderSpecTests : IDisposable
{
    private const string Llama = """
        {
          "model_type": "llama", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2,
          "num_attention_heads": 4, "max_position_embeddings": 32, "eos_token_id": 2
        }
        """;

    private readonly string folder = Directory.CreateTempSubdirectory("spec-").FullName;

    private string Config => Path.Combine(folder, "config.json");

    [Theory]
    [InlineData("rope_theta", "500000", 500_000)]
    [InlineData("rope_parameters", """{ "rope_theta": 500000.0, "rope_type": "default" }""", 500_000)]
    [InlineData("rope_parameters", """{ "rope_theta": 500000.0 }""", 500_000)]
    [InlineData("rope_parameters", """{ "rope_type": "default" }""", 10_000)]
    [InlineData("rope_parameters", "null", 10_000)]
    [InlineData("rope_scaling", """{ "rope_type": "default" }""", 10_000)]
    public void Read_RopeField_GivesTheFilesThetaOrTransformersDefault(string field, string value, double expected)
    {
        Write(field, value);

        Assert.Equal(expected, DecoderSpec.Read(folder).RopeTheta);
    }

    [Fact]
    public void Read_ThetaAtBothPlaces_UsesRopeParameters()
    {
        Write(("rope_theta", "10000.0"), ("rope_parameters", """{ "rope_theta": 500000.0, "rope_type": "default" }"""));

        Assert.Equal(500_000, DecoderSpec.Read(folder).RopeTheta);
    }

    [Theory]
    [InlineData("rope_parameters", """{ "rope_theta": 500000.0, "rope_type": "llama3", "factor": 8.0 }""", "rope_parameters.low_freq_factor is missing; accepted is a number above 0")]
    [InlineData("rope_parameters", """{ "rope_type": "proportional" }""", "rope_parameters.rope_type is proportional; accepted is default, linear, dynamic, llama3, yarn, longrope")]
    [InlineData("rope_parameters", """{ "rope_type": "linear", "factor": 2.0, "beta_fast": 16 }""", "rope_parameters.beta_fast is 16; accepted is nothing: rope_type linear does not have it")]
    [InlineData("rope_scaling", """{ "rope_type": "longrope", "short_factor": [1], "long_factor": [1, 2] }""", "rope_scaling.short_factor is [1]; accepted is a list of 2 numbers above 0")]
    [InlineData("partial_rotary_factor", "0.5", "partial_rotary_factor is 0.5; accepted is 1")]
    [InlineData("rope_parameters", """{ "full_attention": { "rope_type": "default" } }""", "rope_parameters.sliding_attention is missing; accepted is an object")]
    [InlineData("rope_parameters", """{ "other_attention": { "rope_type": "default" } }""", "rope_parameters.other_attention is ")]
    [InlineData("rope_parameters", "[1]", "rope_parameters is [1]; accepted is an object")]
    [InlineData("rope_parameters", """{ "rope_theta": "big" }""", "rope_parameters.rope_theta is big; accepted is a finite number")]
    [InlineData("rope_scaling", """{ "type": "linear", "factor": 0 }""", "rope_scaling.factor is 0; accepted is a number above 0")]
    [InlineData("rope_theta", "1", "rope_theta is 1; accepted is a number above 1")]
    [InlineData("rms_norm_eps", "0", "rms_norm_eps is 0; accepted is a number above 0 and below 1")]
    [InlineData("model_type", "\"gpt2\"", "model_type is gpt2; accepted is one of gemma2, ")]
    [InlineData("quantization_config", """{ "quant_method": "gptq" }""", "quantization_config is ")]
    [InlineData("architectures", """["LlamaForSequenceClassification"]""", "architectures is [\"LlamaForSequenceClassification\"]; accepted is an architecture that gives logits of tokens")]
    [InlineData("logit_scale", "0.5", "logit_scale is 0.5; accepted is null: the field is not known of the family llama")]
    [InlineData("hidden_act", "\"mish\"", "hidden_act is mish; accepted is silu, swish, gelu_pytorch_tanh, gelu, relu")]
    [InlineData("vocab_size", "null", "vocab_size is missing; accepted is an integer from 1 to 16777216")]
    [InlineData("vocab_size", "\"40\"", "vocab_size is 40; accepted is an integer")]
    [InlineData("vocab_size", "40.5", "vocab_size is 40.5; accepted is an integer")]
    [InlineData("eos_token_id", "[2, null]", "eos_token_id is [2,null]; accepted is a token id or a list of token ids")]
    [InlineData("num_key_value_heads", "3", "num_key_value_heads is 3; accepted is a divisor of num_attention_heads (4)")]
    [InlineData("tie_word_embeddings", "1", "tie_word_embeddings is 1; accepted is true or false")]
    public void Read_UnsupportedValue_NamesFileFieldValueAndWhatIsAccepted(string field, string value, string expected)
    {
        Write(field, value);

        EngineException error = Assert.Throws<EngineException>(() => DecoderSpec.Read(folder));

        Assert.Equal(EngineError.InvalidModelFolder, error.Error);
        Assert.StartsWith($"{Config}: {expected}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Read_FileWithByteOrderMark_IsRead()
    {
        File.WriteAllText(Config, Llama, new UTF8Encoding(encoderShouldEmitUTF8Identifier: true));

        Assert.Equal(40, DecoderSpec.Read(folder).VocabularySize);
    }

    [Fact]
    public void Write_ThenRead_GivesTheSameSpec()
    {
        Write(("rope_theta", "500000"), ("num_key_value_heads", "2"), ("tie_word_embeddings", "true"), ("bos_token_id", "1"), ("pad_token_id", "0"), ("rms_norm_eps", "1e-5"), ("eos_token_id", "[2, 3]"));
        DecoderSpec spec = DecoderSpec.Read(folder);

        LlamaConfig.Write(folder, spec);

        DecoderSpec again = DecoderSpec.Read(folder);
        Assert.Equal([2, 3], again.EndIds);
        Assert.Equal(spec, again with { EndIds = spec.EndIds });
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private void Write(string field, string value) => Write((field, value));

    private void Write(params (string Field, string Value)[] changes)
    {
        JsonObject json = JsonNode.Parse(Llama)!.AsObject();
        foreach ((string field, string value) in changes)
        {
            json[field] = JsonNode.Parse(value);
        }

        File.WriteAllText(Config, json.ToJsonString());
    }
}
