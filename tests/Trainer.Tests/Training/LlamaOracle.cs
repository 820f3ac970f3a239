using ProxyTune.Decoding.Onnx;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Tests.Training;

/// <summary>The forward pass again, in plain loops and double precision over the tensors of a checkpoint file.</summary>
internal sealed class LlamaOracle(string folder)
{
    private readonly LlamaConfig _config = LlamaConfig.Load(Path.Combine(folder, "config.json"));
    private readonly Dictionary<string, double[]> _weights = Load(Path.Combine(folder, "model.safetensors"));

    /// <returns>A row of logits per position.</returns>
    public double[][] Logits(int[] ids)
    {
        var x = ids.Select(id => _weights["model.embed_tokens.weight"][(id * _config.HiddenSize)..((id + 1) * _config.HiddenSize)]).ToArray();
        for (var layer = 0; layer < _config.NumHiddenLayers; layer++)
        {
            var prefix = $"model.layers.{layer}.";
            x = Add(x, Attention(prefix + "self_attn.", Norm(x, prefix + "input_layernorm.weight")));
            var y = Norm(x, prefix + "post_attention_layernorm.weight");
            var (gate, up) = (Project(y, prefix + "mlp.gate_proj.weight"), Project(y, prefix + "mlp.up_proj.weight"));
            var inner = gate.Zip(up, (g, u) => g.Zip(u, (a, b) => a / (1 + Math.Exp(-a)) * b).ToArray()).ToArray();
            x = Add(x, Project(inner, prefix + "mlp.down_proj.weight"));
        }

        return Project(Norm(x, "model.norm.weight"), _config.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight");
    }

    private double[][] Attention(string prefix, double[][] x)
    {
        var (size, group) = (_config.HeadSize, _config.NumAttentionHeads / _config.NumKeyValueHeads);
        var (q, k, v) = (Rotate(Project(x, prefix + "q_proj.weight")), Rotate(Project(x, prefix + "k_proj.weight")), Project(x, prefix + "v_proj.weight"));
        var mixed = x.Select(_ => new double[_config.NumAttentionHeads * size]).ToArray();
        for (var head = 0; head < _config.NumAttentionHeads; head++)
        {
            var shared = head / group * size;
            for (var t = 0; t < x.Length; t++)
            {
                var scores = Enumerable.Range(0, t + 1).Select(s => Enumerable.Range(0, size).Sum(i => q[t][head * size + i] * k[s][shared + i]) / Math.Sqrt(size)).ToArray();
                var weights = scores.Select(score => Math.Exp(score - scores.Max())).ToArray();
                for (var i = 0; i < size; i++)
                {
                    mixed[t][head * size + i] = weights.Select((weight, s) => weight / weights.Sum() * v[s][shared + i]).Sum();
                }
            }
        }

        return Project(mixed, prefix + "o_proj.weight");
    }

    private double[][] Rotate(double[][] heads)
    {
        var half = _config.HeadSize / 2;
        return heads.Select((row, position) =>
        {
            var result = new double[row.Length];
            for (var i = 0; i < row.Length; i++)
            {
                var within = i % _config.HeadSize;
                var angle = position * Math.Pow(_config.RopeTheta, -2.0 * (within % half) / _config.HeadSize);
                result[i] = row[i] * Math.Cos(angle) + (within < half ? -row[i + half] : row[i - half]) * Math.Sin(angle);
            }

            return result;
        }).ToArray();
    }

    private double[][] Norm(double[][] x, string name) => x.Select(row =>
    {
        var scale = 1 / Math.Sqrt(row.Sum(value => value * value) / row.Length + _config.RmsNormEps);
        return row.Select((value, i) => value * scale * _weights[name][i]).ToArray();
    }).ToArray();

    private double[][] Project(double[][] x, string name) => x.Select(row =>
    {
        var weight = _weights[name];
        return Enumerable.Range(0, weight.Length / row.Length).Select(o => row.Select((value, i) => value * weight[o * row.Length + i]).Sum()).ToArray();
    }).ToArray();

    private static double[][] Add(double[][] a, double[][] b) => a.Zip(b, (x, y) => x.Zip(y, (p, q) => p + q).ToArray()).ToArray();

    private static Dictionary<string, double[]> Load(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return file.Tensors.Keys.ToDictionary(name => name, name => file.ReadFloat32(name).Select(value => (double)value).ToArray());
    }
}
