using System.Text.Json.Nodes;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Export;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Testing;

/// <summary>
/// Writes a model with more weights that computes the same function. It costs as much as a larger model and keeps the answers of the small one,
/// so an expert drafts equally well for it.
/// </summary>
/// <remarks>
/// <list type="bullet">
/// <item>Neurons between gate, up and down: their weights are zero, so SiLU(0) * 0 is zero.</item>
/// <item>Heads: q, k, v and their columns of o are zero. Whole groups are appended, so each query head keeps its keys.</item>
/// <item>Layers: o and down are zero, so the layers add nothing to the residual. The other weights are copies of earlier layers, so the work is real.</item>
/// <item>Channels of the residual, n times as many: no embedding and no layer writes the new ones, so they stay zero. RMSNorm divides by the root
/// of the mean of squares, which is n times smaller. With epsilon / n the result is sqrt(n) times too large, and the weight of the norm corrects it.</item>
/// </list>
/// The function is exactly the same in real numbers. In floating point, kernels may add in another order.
/// </remarks>
public static class WidenedModel
{
    private const string Weights = "model.safetensors";

    /// <summary>Writes a folder that is both a checkpoint and a model that can be served.</summary>
    /// <param name="source">Folder with config.json, model.safetensors and the tokenizer.</param>
    public static void Write(string source, string target, Widening widening, int bits = CheckpointExporter.FloatBits)
    {
        Directory.CreateDirectory(target);
        foreach (string file in Directory.GetFiles(source, "*.json"))
        {
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)), overwrite: true);
        }

        DecoderSpec narrow = DecoderSpec.Read(source), wide = widening.Of(narrow);
        WriteConfig(Path.Combine(target, "config.json"), wide);
        using (SafetensorsFile file = SafetensorsFile.Open(Path.Combine(source, Weights)))
        {
            SafetensorsFile.Write(Path.Combine(target, Weights), DecoderTensors.InOrder(wide).Select(tensor => (tensor.Name, tensor.Shape, Widen(file, narrow, tensor.Name, tensor.Shape, widening))));
        }

        CheckpointExporter.Export(target, target, bits: bits);
    }

    private static float[] Widen(SafetensorsFile file, DecoderSpec narrow, string name, int[] shape, Widening widening)
    {
        string[] words = name.Split('.');
        bool isLayer = words[1] == "layers";
        int layer = isLayer ? int.Parse(words[2], System.Globalization.CultureInfo.InvariantCulture) : 0;
        float[] result = new float[shape.Aggregate(1, (count, size) => count * size)];
        if (layer >= narrow.Layers && (name.Contains("o_proj", StringComparison.Ordinal) || name.Contains("down_proj", StringComparison.Ordinal)))
        {
            return result;
        }

        string from = isLayer ? name.Replace($".{layer}.", $".{layer % narrow.Layers}.", StringComparison.Ordinal) : name;
        float[] values = file.ReadFloat32(from);
        if (shape is [_])
        {
            float scale = (float)(1 / Math.Sqrt(widening.Hidden));
            values = [.. values.Select(weight => weight * scale)];
        }

        int columns = file.Tensors[from].Shape[^1], wideColumns = shape[^1];
        for (int row = 0; row * columns < values.Length; row++)
        {
            values.AsSpan(row * columns, columns).CopyTo(result.AsSpan(row * wideColumns));
        }

        return result;
    }

    private static void WriteConfig(string path, DecoderSpec wide)
    {
        JsonNode json = JsonNode.Parse(File.ReadAllText(path))!;
        json["hidden_size"] = wide.HiddenSize;
        json["intermediate_size"] = wide.IntermediateSize;
        json["num_hidden_layers"] = wide.Layers;
        json["num_attention_heads"] = wide.Heads;
        json["num_key_value_heads"] = wide.KeyValueHeads;
        json["head_dim"] = wide.HeadSize;
        json["rms_norm_eps"] = wide.NormEpsilon;
        File.WriteAllText(path, json.ToJsonString());
    }
}
