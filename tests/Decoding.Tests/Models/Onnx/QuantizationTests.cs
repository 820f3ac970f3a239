using System.Runtime.InteropServices;
using Google.Protobuf;
using Onnx;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Decoding.Models;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Models;

/// <summary>Compares exports with 8 and 4 bits with plain loops over the dequantized weights.</summary>
public sealed class QuantizationTests : IDisposable
{
    // The error of 8-bit activations. The dequantised weights already contain the error of the weights.
    private const double KernelTolerance = 0.04;

    private static readonly int[] Ids = [7, 30, 12, 9, 41, 100];
    private readonly string folder = Directory.CreateTempSubdirectory("quantized-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData(8, 16)]
    [InlineData(4, 16)]
    [InlineData(4, 10)]
    public void Export_Quantized_LogitsEqualDequantizedWeightsInPlainLoops(int bits, int headSize)
    {
        Write(bits, headSize);
        double[][] expected = new SlowLlama(In("dequantized")).Logits(Ids);

        using OnnxLanguageModel model = OnnxLanguageModel.Load(In("quantized"), new());
        float[][] rows = Rows.Fresh(model, Ids, Ids.Length);
        using OnnxLanguageModel exact = OnnxLanguageModel.Load(WithFloatActivations(), new());

        AssertClose(expected, rows, KernelTolerance);
        AssertClose(expected, Rows.Fresh(exact, Ids, Ids.Length), 1e-4);
        Assert.False(File.Exists(In("quantized/model.safetensors")));
        Assert.Equal(["config.json", "genai_config.json", "lineage.json", "model.onnx", "model.quantized.data"], Directory.GetFileSystemEntries(In("quantized")).Select(Path.GetFileName).Where(name => !name!.StartsWith("tokenizer", StringComparison.Ordinal)).Order());
    }

    [Theory]
    [InlineData(8)]
    [InlineData(4)]
    public void Export_Quantized_IsWithinHalfAStepOfTheWeights(int bits)
    {
        Write(bits, 16);
        using SafetensorsFile before = SafetensorsFile.Open(In("checkpoint/model.safetensors"));
        using SafetensorsFile after = SafetensorsFile.Open(In("dequantized/model.safetensors"));
        const string Name = "model.layers.1.mlp.down_proj.weight";
        float[] weights = before.ReadFloat32(Name), read = after.ReadFloat32(Name);
        int inputs = before.Tensors[Name].Shape[1];
        for (int i = 0; i < weights.Length; i++)
        {
            int start = (i / inputs * inputs) + (i % inputs / 32 * 32), end = Math.Min(start + 32, ((i / inputs) + 1) * inputs);
            float largest = weights[start..end].Max(MathF.Abs), step = largest / (1 << (bits - 1));

            // The far end has one step less than the end with the largest value.
            float error = MathF.Abs(weights[i] - read[i]);
            Assert.True(error <= 0.5001f * step || (MathF.Abs(weights[i]) > largest - step && error <= 1.0001f * step), $"{i}: {weights[i]} became {read[i]}");
        }
    }

    [Fact]
    public void Export_Quantized_TakesPatchesAsRows()
    {
        Write(4, 16);
        TinyPatch.Write(In("patch"), In("checkpoint"), 1, TinyPatch.Modules);
        TinyPatch.WriteDense(In("dense"), In("dequantized"), (In("patch"), 1));
        using OnnxLanguageModel model = OnnxLanguageModel.Load(WithFloatActivations(), new());

        using Sequence sequence = model.Start(Prompt.For(model, Ids, new PatchSum([new WeightedPatch(LowRankPatch.Read(In("patch")), 1)])));

        AssertClose(new SlowLlama(In("dense")).Logits(Ids), Rows.Forward(model, new Segment(sequence, default, Ids.Length)), 1e-4);
    }

    [Fact]
    public void Export_Quantized_LoadsInGenAi()
    {
        Write(4, 16);
        using OnnxLanguageModel model = OnnxLanguageModel.Load(In("quantized"), new());
        float[] row = Rows.Fresh(model, Ids)[0];
        Assert.Equal(Array.IndexOf(row, row.Max()), GenAiReference.Greedy(In("quantized"), Ids, 1)[0]);
    }

    [Fact]
    public void Export_OtherBits_IsRefused()
    {
        TinyModel.WriteCheckpoint(In("checkpoint"));
        Assert.Contains("bits is 5; accepted are 4, 8 and 32", Assert.Throws<EngineException>(() => CheckpointExporter.Export(In("checkpoint"), In("quantized"), bits: 5)).Message, StringComparison.Ordinal);
    }

    private string In(string name) => Path.Combine(folder, name);

    /// <summary>checkpoint; quantized; and dequantized, a checkpoint of what the quantized graph's weights stand for.</summary>
    private void Write(int bits, int headSize)
    {
        TinyModel.WriteCheckpoint(In("checkpoint"), new TinyModelOptions { HeadSize = headSize });
        CheckpointExporter.Export(In("checkpoint"), In("quantized"), bits: bits);
        Directory.CreateDirectory(In("dequantized"));

        // The embedding stays, the head has bits: no longer one tensor.
        string config = File.ReadAllText(In("checkpoint/config.json")).Replace("\"tie_word_embeddings\":true", "\"tie_word_embeddings\":false", StringComparison.Ordinal);
        File.WriteAllText(In("dequantized/config.json"), config);
        using SafetensorsFile checkpoint = SafetensorsFile.Open(In("checkpoint/model.safetensors"));
        Dequantized graph = new(In("quantized"));
        SafetensorsFile.Write(In("dequantized/model.safetensors"), checkpoint.Tensors.Values
            .Select(tensor => (tensor.Name, tensor.Shape.ToArray(), graph.Weight(tensor.Name, headSize) ?? checkpoint.ReadFloat32(tensor.Name)))
            .Append(("lm_head.weight", [.. checkpoint.Tensors["model.embed_tokens.weight"].Shape], graph.Weight("lm_head.weight", headSize)!)));
    }

    /// <summary>The same weights without quantised activations. Only rounding remains.</summary>
    private string WithFloatActivations()
    {
        string target = In("exact");
        Directory.CreateDirectory(target);
        foreach (string file in Directory.GetFiles(In("quantized")))
        {
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        }

        ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Path.Combine(target, "model.onnx")));
        foreach (AttributeProto level in model.Graph.Node.SelectMany(node => node.Attribute).Where(attribute => attribute.Name == "accuracy_level"))
        {
            level.I = 1;
        }

        File.WriteAllBytes(Path.Combine(target, "model.onnx"), model.ToByteArray());
        return target;
    }

    private static void AssertClose(double[][] expected, float[][] actual, double tolerance)
    {
        for (int row = 0; row < expected.Length; row++)
        {
            double allowed = tolerance * expected[row].Max(Math.Abs);
            Assert.All(expected[row].Zip(actual[row]), pair => Assert.Equal(pair.First, pair.Second, allowed));
        }
    }

    /// <summary>Reads the weights of MatMulNBits value by value, as its documentation describes.</summary>
    private sealed class Dequantized(string folder)
    {
        private const int Heads = 4, KeyValueHeads = 2;
        private readonly ModelProto model = ModelProto.Parser.ParseFrom(File.ReadAllBytes(Path.Combine(folder, "model.onnx")));

        /// <summary>Null for a tensor that is not quantised.</summary>
        public float[]? Weight(string name, int headSize)
        {
            string[] words = name.Split('.');
            string layer = words.Length > 2 ? $"layers.{words[2]}." : "", module = words.Length > 2 ? words[^2] : words[0];
            int padded = (headSize + 15) / 16 * 16;
            int[] heads = [.. Enumerable.Range(0, Heads * headSize).Select(i => (i / headSize * padded) + (i % headSize / (headSize / 2) * padded / 2) + (i % (headSize / 2)))];
            return module switch
            {
                "q_proj" => Rows(layer + "qkv", heads),
                "k_proj" => Rows(layer + "qkv", [.. heads.Take(KeyValueHeads * headSize).Select(i => i + (Heads * padded))]),
                "v_proj" => Rows(layer + "qkv", [.. heads.Take(KeyValueHeads * headSize).Select(i => i + ((Heads + KeyValueHeads) * padded))]),
                "o_proj" => [.. Matrix(layer + "o").SelectMany(row => heads.Select(i => row[i]))],
                "gate_proj" => [.. Matrix(layer + "mlp.gate_up")[..48].SelectMany(row => row)],
                "up_proj" => [.. Matrix(layer + "mlp.gate_up")[48..].SelectMany(row => row)],
                "down_proj" => [.. Matrix(layer + "mlp.down").SelectMany(row => row)],
                "lm_head" => [.. Matrix("logits").SelectMany(row => row)],
                _ => null,
            };
        }

        private float[] Rows(string node, int[] which) => [.. which.SelectMany(i => Matrix(node)[i])];

        private float[][] Matrix(string name)
        {
            NodeProto node = model.Graph.Node.Single(node => node.Name == name);
            int inputs = Attribute("K"), outputs = Attribute("N"), bits = Attribute("bits"), size = Attribute("block_size"), blocks = (inputs + size - 1) / size;
            byte[] values = Data(node.Input[1]);
            float[] scales = MemoryMarshal.Cast<byte, float>(Data(node.Input[2])).ToArray();
            return [.. Enumerable.Range(0, outputs).Select(output => Enumerable.Range(0, inputs).Select(input => Value(output, input)).ToArray())];

            int Attribute(string attribute) => (int)node.Attribute.Single(a => a.Name == attribute).I;

            float Value(int output, int input)
            {
                int block = (output * blocks) + (input / size), inBlock = input % size;
                int q = bits == 8 ? values[(block * size) + inBlock] : (values[(block * size / 2) + (inBlock / 2)] >> (inBlock % 2 * 4)) & 15;
                return scales[block] * (q - (bits == 8 ? 128 : 8));
            }
        }

        private byte[] Data(string name)
        {
            Dictionary<string, string> place = model.Graph.Initializer.Single(weight => weight.Name == name).ExternalData.ToDictionary(entry => entry.Key, entry => entry.Value);
            byte[] all = File.ReadAllBytes(Path.Combine(folder, place["location"]));
            return all[(int)long.Parse(place["offset"])..][..(int)long.Parse(place["length"])];
        }
    }
}
