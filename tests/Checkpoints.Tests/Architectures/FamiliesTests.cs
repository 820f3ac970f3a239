using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Architectures;

namespace ProxyTune.Checkpoints.Tests.Architectures;

public sealed class FamiliesTests : IDisposable
{
    private const string Sizes = """
        "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64, "eos_token_id": 2
        """;

    private static readonly LayerAttention Window = new(8, true);

    private readonly string folder = Directory.CreateTempSubdirectory("families-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("mixtral", "MixtralForCausalLM needs a mixture of experts")]
    [InlineData("qwen3_moe", "Qwen3MoeForCausalLM needs a mixture of experts")]
    [InlineData("mamba2", "Mamba2ForCausalLM needs recurrent layers")]
    [InlineData("lfm2", "Lfm2ForCausalLM needs convolutional layers")]
    [InlineData("gemma3n_text", "Gemma3nForCausalLM needs keys and values that layers share")]
    [InlineData("opt", "OPTForCausalLM is not known")]
    public void Read_OtherArchitecture_NamesItAndWhatIsMissing(string type, string expected)
    {
        string name = expected[..expected.IndexOf(' ', StringComparison.Ordinal)];

        AssertRefused($$"""{ "model_type": "{{type}}", "architectures": ["{{name}}"] }""", $"model_type is {type}; accepted is one of gemma2, gemma3, gemma3_text, granite, llama, mistral, olmo2, phi3, qwen2, qwen3, smollm3: {expected}");
    }

    [Theory]
    [InlineData("gemma3_text", "use_bidirectional_attention", "true")]
    [InlineData("gemma2", "hidden_act", "\"silu\"")]
    [InlineData("gemma2", "sliding_window", "null")]
    [InlineData("gemma3_text", "layer_types", """["full_attention", "full_attention", "full_attention", "linear_attention"]""")]
    [InlineData("qwen2", "layer_types", """["full_attention"]""")]
    [InlineData("qwen2", "attention_bias", "true")]
    [InlineData("qwen3", "mlp_bias", "true")]
    [InlineData("mistral", "layer_types", """["full_attention", "full_attention", "full_attention", "full_attention"]""")]
    [InlineData("smollm3", "no_rope_layers", "[1, 0]")]
    [InlineData("smollm3", "no_rope_layers", "[1, 0, 2, 1]")]
    [InlineData("olmo2", "clip_qkv", "8.0")]
    [InlineData("granite", "logits_scaling", "0")]
    [InlineData("granite", "num_local_experts", "4")]
    [InlineData("phi3", "attention_bias", "true")]
    [InlineData("phi3", "partial_rotary_factor", "1.5")]
    [InlineData("phi3", "interpolate_factor", "4")]
    [InlineData("llama", "rope_scaling", """{ "rope_type": "linear", "factor": 2.0 }, "rope_parameters": { "rope_theta": 500.0 }""")]
    [InlineData("llama", "sliding_window", "8")]
    [InlineData("llama", "quantization_config", """{ "bits": 4 }""")]
    public void Read_FieldThatIsNotHonoured_IsRefusedByName(string type, string field, string value) =>
        AssertRefused($$"""{ "model_type": "{{type}}", {{Sizes}}, "{{field}}": {{value}} }""", $"config.json: {field} is ");

    // Fields of published files that change nothing.
    [Theory]
    [InlineData("llama", """ "is_llama_config": true, "rope_interleaved": false, "pretraining_tp": 1, "transformers.js_config": { "dtype": "q4" }, "rope_scaling": null, "use_cache": true """)]
    [InlineData("qwen2", """ "use_sliding_window": false, "max_window_layers": 28, "use_mrope": false, "attention_dropout": 0.0, "bos_token_id": 1, "sliding_window": 32768 """)]
    [InlineData("qwen3", """ "head_dim": 8, "use_sliding_window": false, "max_window_layers": 4, "sliding_window": null, "attention_bias": false, "rope_scaling": null """)]
    [InlineData("smollm3", """ "max_window_layers": 28, "pretraining_tp": 2, "no_rope_layer_interval": 4, "no_rope_layers": [1, 1, 1, 0], "sliding_window": null, "bos_token_id": null """)]
    [InlineData("gemma2", """ "hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", "cache_implementation": "hybrid", "_name_or_path": "x" """)]
    [InlineData("gemma3_text", """ "cache_implementation": "hybrid", "attn_logit_softcapping": null, "rope_local_base_freq": 10000, "use_bidirectional_attention": false """)]
    [InlineData("granite", """ "attention_multiplier": 0.0078125, "embedding_multiplier": 12.0, "residual_multiplier": 0.22, "logits_scaling": 16.0, "mlp_bias": false """)]
    [InlineData("olmo2", """ "attention_bias": false, "attention_dropout": 0.0, "use_cache": false, "pad_token_id": 1 """)]
    [InlineData("mistral", """ "sliding_window": null, "head_dim": 8, "torch_dtype": "bfloat16", "quantization_config": null """)]
    [InlineData("phi3", """ "auto_map": { "AutoConfig": "x" }, "embd_pdrop": 0.0, "full_attn_mod": 1, "interpolate_factor": 1, "lm_head_bias": false, "mlp_bias": false, "resid_pdrop": 0.0, "sliding_window": 262144 """)]
    public void Read_FieldsOfPublishedFiles_AreAccepted(string type, string fields) =>
        Assert.Equal(type, Read($$"""{ "model_type": "{{type}}", {{Sizes}}, {{fields}} }""").Family);

    [Theory]
    [InlineData("""{ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 32 }""")]
    [InlineData("""{ "rope_type": "linear", "factor": 2.0 }""")]
    [InlineData("""{ "rope_type": "dynamic", "factor": 2.0 }""")]
    [InlineData("""{ "rope_type": "yarn", "factor": 2.0, "beta_fast": 16, "attention_factor": 1.5, "original_max_position_embeddings": 32 }""")]
    [InlineData("""{ "rope_type": "longrope", "short_factor": [1, 2], "long_factor": [3, 4], "original_max_position_embeddings": 32 }""")]
    public void Read_RopeAsBeforeAndSinceVersion5_IsTheSame(string rope)
    {
        JsonObject parameters = JsonNode.Parse(rope)!.AsObject();
        DecoderSpec before = Read($$"""{ "model_type": "llama", {{Sizes}}, "rope_theta": 500.0, "rope_scaling": {{rope.Replace("rope_type", "type", StringComparison.Ordinal)}}, "torch_dtype": "bfloat16" }""");
        parameters["rope_theta"] = 500.0;

        DecoderSpec since = Read($$"""{ "model_type": "llama", {{Sizes}}, "rope_parameters": {{parameters.ToJsonString()}}, "dtype": "bfloat16" }""");

        Assert.Equal(500, before.RopeTheta);
        Assert.Equal(RotaryTable.Of(before, 4).Cos, RotaryTable.Of(since, 4).Cos);
        Assert.Equal(RotaryTable.Of(before, 4).Sin, RotaryTable.Of(since, 4).Sin);
        Assert.Equal(before.RopeScaling?.AttentionFactor, since.RopeScaling?.AttentionFactor);
    }

    [Fact]
    public void Read_Gemma3_BothStylesAndTheVisionModelGiveTheSameTextPart()
    {
        const string Common = $$"""
            "model_type": "gemma3_text", {{Sizes}}, "sliding_window": 8, "head_dim": 8
            """;
        DecoderSpec before = Read($$"""{ {{Common}}, "sliding_window_pattern": 3, "rope_theta": 500.0, "rope_local_base_freq": 100.0, "rope_scaling": { "rope_type": "linear", "factor": 8.0 } }""");
        const string Since = $$"""
            {{Common}}, "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
            "rope_parameters": { "full_attention": { "rope_type": "linear", "factor": 8.0, "rope_theta": 500.0 }, "sliding_attention": { "rope_type": "default", "rope_theta": 100.0 } }
            """;

        Assert.Equal([Window, Window, LayerAttention.Full, Window], before.Attentions);
        Assert.Equal(new RopeSpec(100), before.WindowRope);
        foreach (DecoderSpec other in (DecoderSpec[])[Read($$"""{ {{Since}} }"""), Read($$"""{ "model_type": "gemma3", "text_config": { {{Since}} }, "vision_config": { "hidden_size": 8 }, "mm_tokens_per_image": 4 }""")])
        {
            Assert.Equal(before.Attentions, other.Attentions);
            Assert.Equal(before, other with { Attentions = before.Attentions, EndIds = before.EndIds });
        }
    }

    [Fact]
    public void Read_PublishedGemma3WithDefaultsLeftOut_HasThoseOfTransformers()
    {
        DecoderSpec spec = Read("""
            {
              "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "eos_token_id": [1, 106], "vision_config": {}, "torch_dtype": "bfloat16",
              "text_config": { "hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
                "rope_scaling": { "factor": 8.0, "rope_type": "linear" }, "sliding_window": 1024 }
            }
            """);

        Assert.Equal((262_208, 8, 4, 256, 131_072, true), (spec.VocabularySize, spec.Heads, spec.KeyValueHeads, spec.HeadSize, spec.ContextLength, spec.TiedHead));
        Assert.Equal((1_000_000, 10_000, 1.0 / 16), (spec.RopeTheta, spec.WindowRope!.Theta, spec.AttentionScale));
        Assert.Equal([1, 106], spec.EndIds);
        Assert.Equal([5, 11, 17, 23, 29], Enumerable.Range(0, 34).Where(layer => spec.AttentionOf(layer).Window is null));
    }

    [Theory]
    [InlineData("""{ "model_type": "qwen2", SIZES, "sliding_window": 8, "max_window_layers": 2 }""", "----")]
    [InlineData("""{ "model_type": "qwen2", SIZES, "sliding_window": 8, "max_window_layers": 2, "use_sliding_window": true }""", "--ww")]
    [InlineData("""{ "model_type": "qwen2", SIZES, "sliding_window": null, "max_window_layers": 2, "use_sliding_window": true }""", "----")]
    [InlineData("""{ "model_type": "qwen3", SIZES, "sliding_window": 8, "use_sliding_window": true, "layer_types": ["sliding_attention", "full_attention", "full_attention", "full_attention"] }""", "w---")]
    [InlineData("""{ "model_type": "mistral", SIZES, "sliding_window": 8 }""", "wwww")]
    [InlineData("""{ "model_type": "mistral", SIZES, "sliding_window": null }""", "----")]
    [InlineData("""{ "model_type": "phi3", SIZES, "sliding_window": 8 }""", "wwww")]
    [InlineData("""{ "model_type": "gemma2", SIZES, "sliding_window": 8 }""", "w-w-")]
    [InlineData("""{ "model_type": "smollm3", SIZES }""", "---n")]
    [InlineData("""{ "model_type": "smollm3", SIZES, "no_rope_layers": [0, 1, 1, 1] }""", "n---")]
    [InlineData("""{ "model_type": "smollm3", SIZES, "no_rope_layer_interval": 2, "sliding_window": 8, "use_sliding_window": true }""", "-N-N")]
    public void Read_WindowsAndRope_AreThoseOfTransformers(string config, string expected)
    {
        DecoderSpec spec = Read(config.Replace("SIZES", Sizes, StringComparison.Ordinal));

        Assert.Equal(expected, string.Concat(Enumerable.Range(0, spec.Layers).Select(layer => spec.AttentionOf(layer) switch
        {
            (null, true) => '-',
            (8, true) => 'w',
            (null, false) => 'n',
            (8, false) => 'N',
            _ => '?',
        })));
    }

    [Fact]
    public void Read_Gemma3WithoutThetaOfAKind_HasThatOfTransformers()
    {
        const string Kinds = """
            "rope_parameters": { "full_attention": { "rope_type": "default" }, "sliding_attention": { "rope_type": "default" } }
            """;

        Assert.Equal((1_000_000, new RopeSpec(10_000)), Rope(Read($$"""{ "model_type": "gemma3_text", {{Sizes}}, {{Kinds}} }""")));
        Assert.Equal((300, new RopeSpec(200)), Rope(Read($$"""{ "model_type": "gemma3_text", {{Sizes}}, {{Kinds}}, "rope_theta": 300.0, "rope_local_base_freq": 200.0 }""")));

        static (double, RopeSpec?) Rope(DecoderSpec spec) => (spec.RopeTheta, spec.WindowRope);
    }

    [Fact]
    public void Read_Gemma2WithoutCaps_HasThoseOfTransformersUnlessTheyAreNull()
    {
        DecoderSpec usual = Read($$"""{ "model_type": "gemma2", {{Sizes}} }"""), none = Read($$"""{ "model_type": "gemma2", {{Sizes}}, "attn_logit_softcapping": null, "final_logit_softcapping": null }""");

        Assert.Equal((50, 30, 4096), (usual.AttentionSoftCap, usual.LogitsSoftCap, usual.AttentionOf(0).Window));
        Assert.Equal((null, null), (none.AttentionSoftCap, none.LogitsSoftCap));
    }

    // The numbers come from the definitions of modeling_rope_utils.py in another language, for theta 10000 and 8 dimensions.
    [Theory]
    [InlineData("""{ "rope_type": "linear", "factor": 4.0 }""", new[] { 0.25, 0.025, 0.0025, 0.00025 })]
    [InlineData("""{ "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 100 }""", new[] { 1, 0.02975352506846948, 0.00125, 0.000125 })]
    [InlineData("""{ "rope_type": "yarn", "factor": 4.0, "beta_fast": 8, "beta_slow": 1, "original_max_position_embeddings": 1000 }""", new[] { 1, 0.1, 0.00625, 0.00025 })]
    [InlineData("""{ "rope_type": "yarn", "factor": 4.0, "beta_fast": 8, "beta_slow": 1, "truncate": false, "original_max_position_embeddings": 1000 }""", new[] { 1, 0.1, 0.004176079913537607, 0.00025 })]
    public void Frequencies_OfAScaling_AreThoseOfTransformers(string rope, double[] expected)
    {
        DecoderSpec spec = Read($$"""{ "model_type": "llama", {{Sizes}}, "head_dim": 8, "rope_scaling": {{rope}} }""");

        Assert.All(spec.RopeScaling!.Frequencies(10_000, 8).Zip(expected), pair => Assert.Equal(pair.Second, pair.First, 1e-6 * pair.Second + 1e-7));
    }

    [Theory]
    [InlineData("""{ "rope_type": "yarn", "factor": 4.0 }""", 1.1386294361)]
    [InlineData("""{ "rope_type": "yarn", "factor": 4.0, "attention_factor": 1.25 }""", 1.25)]
    [InlineData("""{ "rope_type": "yarn", "factor": 4.0, "mscale": 2.0, "mscale_all_dim": 1.0 }""", 1.1217511437130581)]
    [InlineData("""{ "rope_type": "longrope", "short_factor": [1, 1], "long_factor": [2, 2], "original_max_position_embeddings": 16 }""", 1.2247448714)]
    [InlineData("""{ "rope_type": "longrope", "short_factor": [1, 1], "long_factor": [2, 2], "factor": 16, "original_max_position_embeddings": 16 }""", 1.4142135624)]
    public void AttentionFactor_OfAScaling_IsThatOfTransformers(string rope, double expected) =>
        Assert.Equal(expected, Read($$"""{ "model_type": "llama", {{Sizes}}, "rope_scaling": {{rope}} }""").RopeScaling!.AttentionFactor, 1e-9);

    private DecoderSpec Read(string config)
    {
        File.WriteAllText(Path.Combine(folder, "config.json"), config);
        return DecoderSpec.Read(folder);
    }

    private void AssertRefused(string config, string expected)
    {
        EngineException error = Assert.Throws<EngineException>(() => Read(config));
        Assert.Equal(EngineError.InvalidModelFolder, error.Error);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }
}
