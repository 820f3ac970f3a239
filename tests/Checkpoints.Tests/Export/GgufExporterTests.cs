using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Testing;

namespace ProxyTune.Checkpoints.Tests.Export;

public sealed class GgufExporterTests
{
    private static readonly TinyModelOptions Options = new() { Hidden = 64, Intermediate = 96, HeadSize = 16 };

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Export_Float32_SizesAndWeightsEqualTheCheckpoint(bool tied)
    {
        using TinyModel model = TinyModel.Create(Options with { Tied = tied });
        PlainGguf gguf = Export(model, 32);

        Assert.Equal(64u, gguf.Metadata["llama.embedding_length"]);
        Assert.Equal(2u, gguf.Metadata["llama.attention.head_count_kv"]);
        Assert.Equal(1e-5f, gguf.Metadata["llama.attention.layer_norm_rms_epsilon"]);
        Assert.Equal(tied ? 20 : 21, gguf.Tensors.Count);
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(model.Folder, "model.safetensors"));
        Assert.Equal(file.ReadFloat32("model.embed_tokens.weight"), gguf.Tensors["token_embd.weight"].Values);
        Assert.Equal(file.ReadFloat32("model.layers.1.mlp.down_proj.weight"), gguf.Tensors["blk.1.ffn_down.weight"].Values);
        Assert.Equal(file.ReadFloat32("model.layers.0.post_attention_layernorm.weight"), gguf.Tensors["blk.0.ffn_norm.weight"].Values);
        Assert.Equal([96L, 64L], gguf.Tensors["blk.1.ffn_down.weight"].Sizes);
    }

    [Fact]
    public void Export_OtherFamily_IsRefusedByName()
    {
        using TinyModel model = TinyModel.Create(Options);
        TinyCheckpoint.Write(model.Folder, """{ "model_type": "granite" }""");

        Assert.Contains("model_type granite", Assert.Throws<EngineException>(() => Export(model, 32)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Export_RotatedHeads_HalvesBecomePairs()
    {
        using TinyModel model = TinyModel.Create(Options);
        PlainGguf gguf = Export(model, 32);

        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(model.Folder, "model.safetensors"));
        float[] keys = file.ReadFloat32("model.layers.0.self_attn.k_proj.weight"), moved = gguf.Tensors["blk.0.attn_k.weight"].Values;
        for (int head = 0; head < 2; head++)
        {
            for (int i = 0; i < 8; i++)
            {
                Assert.Equal(Row(keys, (head * 16) + i), Row(moved, (head * 16) + (2 * i)));
                Assert.Equal(Row(keys, (head * 16) + 8 + i), Row(moved, (head * 16) + (2 * i) + 1));
            }
        }

        static float[] Row(float[] weight, int row) => weight[(row * 64)..((row + 1) * 64)];
    }

    [Theory]
    [InlineData(4, 1 / 8.0)]
    [InlineData(8, 1 / 128.0)]
    public void Export_Quantised_EveryWeightIsWithinItsStep(int bits, double step)
    {
        using TinyModel model = TinyModel.Create(Options);
        PlainGguf gguf = Export(model, bits);

        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(model.Folder, "model.safetensors"));
        Check(file.ReadFloat32("model.layers.0.mlp.up_proj.weight"), gguf.Tensors["blk.0.ffn_up.weight"].Values, step);
        Check(file.ReadFloat32("model.embed_tokens.weight"), gguf.Tensors["output.weight"].Values, 1 / 128.0);
        Assert.Equal(file.ReadFloat32("model.embed_tokens.weight"), gguf.Tensors["token_embd.weight"].Values);

        // Half a step, a whole one at the end of the range that is one step shorter, and a little for the scale's 16 bits.
        static void Check(float[] expected, float[] values, double step)
        {
            foreach ((float[] block, float[] read) in expected.Chunk(32).Zip(values.Chunk(32)))
            {
                double largest = block.Max(Math.Abs);
                Assert.All(block.Zip(read), pair => Assert.Equal(pair.First, pair.Second, 1.01 * step * largest));
            }

            Assert.True(expected.Zip(values, (e, v) => Math.Abs(e - v)).Average() < 0.3 * step * expected.Max(Math.Abs));
        }
    }

    [Fact]
    public void Export_SizeThatIsNoMultipleOfABlock_NamesIt()
    {
        using TinyModel model = TinyModel.Create(Options with { Intermediate = 80 });

        EngineException error = Assert.Throws<EngineException>(() => Export(model, 4));

        Assert.Equal("bits is 4, but blk.0.ffn_down.weight has 80 inputs; accepted is a multiple of 32.", error.Message);
    }

    private static PlainGguf Export(TinyModel model, int bits)
    {
        string path = Path.Combine(model.Folder, "model.gguf");
        GgufExporter.Export(model.Folder, path, bits);
        return PlainGguf.Read(path);
    }
}
