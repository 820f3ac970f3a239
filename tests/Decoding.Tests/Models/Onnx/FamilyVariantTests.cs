using Google.Protobuf;
using Onnx;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Compares exports of small checkpoints with plain loops: features of the families alone and together, also with heads that the kernel does not take.</summary>
public sealed class FamilyVariantTests : IDisposable
{
    private const double Tolerance = 2e-5;

    private const string LongRope = """{ "model_type": "phi3", "head_dim": 20, "partial_rotary_factor": 0.4, "original_max_position_embeddings": 32, "rope_scaling": { "type": "su", "short_factor": [1, 1.5, 2, 3], "long_factor": [2, 4, 6, 8] } }""";

    private static readonly int[] Ids = [.. Enumerable.Range(0, 30).Select(i => (i * 37) % TinyCheckpoint.Vocabulary)];

    private readonly string folder = Directory.CreateTempSubdirectory("variant-").FullName;

    public static TheoryData<string> Configs =>
    [
        """{ "model_type": "llama", "attention_bias": true, "mlp_bias": true, "head_dim": 20, "hidden_act": "relu" }""",
        """{ "model_type": "llama", "hidden_act": "gelu", "rope_scaling": { "type": "linear", "factor": 3.0 }, "tie_word_embeddings": true }""",
        """{ "model_type": "llama", "head_dim": 24, "rope_scaling": { "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32 } }""",
        """{ "model_type": "llama", "rope_scaling": { "rope_type": "dynamic", "factor": 2.0 }, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 16 }""",
        """{ "model_type": "mistral", "head_dim": 12, "sliding_window": 5 }""",
        """{ "model_type": "mistral", "head_dim": 32, "sliding_window": 1, "hidden_act": "gelu_pytorch_tanh" }""",
        """{ "model_type": "qwen2", "use_sliding_window": true, "max_window_layers": 1, "sliding_window": 6, "head_dim": 10 }""",
        """{ "model_type": "qwen3", "head_dim": 20, "use_sliding_window": true, "sliding_window": 4, "layer_types": ["full_attention", "sliding_attention", "full_attention"] }""",
        """{ "model_type": "qwen3", "head_dim": 16, "attention_bias": true }""",
        """{ "model_type": "smollm3", "no_rope_layer_interval": 2, "use_sliding_window": true, "sliding_window": 7, "mlp_bias": true }""",
        """{ "model_type": "olmo2", "head_dim": 20, "attention_bias": true }""",
        """{ "model_type": "granite", "embedding_multiplier": 3.0, "attention_multiplier": 0.3, "residual_multiplier": 0.5, "logits_scaling": 2.0, "head_dim": 10, "mlp_bias": true }""",
        """{ "model_type": "phi3", "head_dim": 24, "partial_rotary_factor": 0.75, "sliding_window": 9, "eos_token_id": [0, 5] }""",
        """{ "model_type": "phi3", "head_dim": 32, "partial_rotary_factor": 0.5, "attention_bias": false, "full_attn_mod": 1 }""",
        """{ "model_type": "phi3", "head_dim": 16, "partial_rotary_factor": 0.25 }""",
        LongRope,
        """{ "model_type": "gemma2", "head_dim": 20, "query_pre_attn_scalar": 12, "sliding_window": 5, "attn_logit_softcapping": 2.0, "final_logit_softcapping": null }""",
        """{ "model_type": "gemma2", "head_dim": 16, "query_pre_attn_scalar": 16, "sliding_window": 5, "attn_logit_softcapping": null, "attention_bias": true }""",
        """{ "model_type": "gemma3_text", "head_dim": 24, "query_pre_attn_scalar": 24, "sliding_window": 6, "sliding_window_pattern": 2, "rope_local_base_freq": 100.0, "rope_scaling": { "rope_type": "linear", "factor": 8.0 }, "final_logit_softcapping": 4.0 }""",
    ];

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [MemberData(nameof(Configs))]
    public void Forward_WholeAndTokenByToken_EqualsPlainLoops(string config)
    {
        using OnnxLanguageModel model = Load(config);
        double[][] expected = new SlowDecoder(In("checkpoint")).Logits(Ids);

        using Sequence whole = Start(model, Ids, 1);
        AssertClose(expected, Rows.Forward(model, new Segment(whole, default, Ids.Length)));

        using Sequence stepped = Start(model, Ids[..1], Ids.Length);
        Rows.Forward(model, new Segment(stepped, default));
        AssertClose(expected[1..], [.. Enumerable.Range(1, Ids.Length - 1).Select(i => Rows.Forward(model, new Segment(stepped, Ids.AsMemory(i, 1)))[0])]);
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void Start_Patch_EqualsPlainLoopsOverDenseUpdates(string config)
    {
        using OnnxLanguageModel model = Load(config);
        TinyPatch.Write(In("patch"), In("checkpoint"), 2, [.. TinyPatch.Modules, "qkv_proj", "gate_up_proj"]);
        TinyPatch.WriteDense(In("dense"), In("checkpoint"), (In("patch"), 0.5));

        using Sequence sequence = model.Start(Prompt.For(model, Ids, new PatchSum([new WeightedPatch(LowRankPatch.Read(In("patch")), 0.5)])) with { MaxAppended = 1 });

        AssertClose(new SlowDecoder(In("dense")).Logits(Ids), Rows.Forward(model, new Segment(sequence, default, Ids.Length)));
    }

    [Fact]
    public void Start_ShortAndLongTextInOneRun_EachHasItsFactors()
    {
        using OnnxLanguageModel model = Load(LongRope);
        SlowDecoder oracle = new(In("checkpoint"));
        double[][] ofShort = oracle.Logits(Ids), ofLong = oracle.Logits(Ids, isLong: true);

        // With 30 tokens and 32 of the original context, the third appended token makes a long text.
        using Sequence brief = Start(model, Ids, 2), extended = Start(model, Ids, 3);
        float[][] rows = Rows.Forward(model, new Segment(extended, default, Ids.Length), new Segment(brief, default, Ids.Length));

        AssertClose(ofLong, rows[..Ids.Length]);
        AssertClose(ofShort, rows[Ids.Length..]);
        Assert.Equal(1, model.Runs);
    }

    [Theory]
    [InlineData("32 129")]
    [InlineData("32 2147483647")]
    public void Load_PositionsBeyondTheTables_IsRefused(string note)
    {
        Load(LongRope).Dispose();
        ModelProto graph = ModelProto.Parser.ParseFrom(File.ReadAllBytes(In("model/model.onnx")));
        graph.MetadataProps.Single(entry => entry.Key.EndsWith("long_rope", StringComparison.Ordinal)).Value = note;
        File.WriteAllBytes(In("model/model.onnx"), graph.ToByteArray());

        EngineException error = Assert.Throws<EngineException>(() => OnnxLanguageModel.Load(In("model"), new()));

        Assert.Contains($"long texts begin at position {note[3..]}", error.Message, StringComparison.Ordinal);
    }

    private string In(string name) => Path.Combine(folder, name);

    private OnnxLanguageModel Load(string config)
    {
        TinyCheckpoint.Write(In("checkpoint"), config);
        CheckpointExporter.Export(In("checkpoint"), In("model"));
        return OnnxLanguageModel.Load(In("model"), new());
    }

    private static Sequence Start(OnnxLanguageModel model, int[] tokens, int appended) => model.Start(Prompt.For(model, tokens) with { MaxAppended = appended });

    private static void AssertClose(double[][] expected, float[][] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        double largest = expected.Max(row => row.Max(Math.Abs)), difference = expected.Zip(actual, (e, a) => e.Zip(a, (x, y) => Math.Abs(x - y)).Max()).Max();
        Assert.True(difference <= Tolerance * largest, $"{difference:0.0e+0} of {largest:0.0}");
    }
}
