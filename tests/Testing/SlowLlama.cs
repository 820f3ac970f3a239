using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Testing;

/// <summary>
/// A Llama decoder in plain loops and double precision, from a Hugging Face checkpoint: the oracle for every faster one. It keeps no cache
/// and knows no batches.
/// </summary>
public sealed class SlowLlama(string folder)
{
    private readonly CheckpointConfig _config = CheckpointConfig.Read(folder);
    private readonly Dictionary<string, float[]> _weights = ReadWeights(folder);

    /// <returns>A row of logits for each position.</returns>
    public double[][] Logits(IReadOnlyList<int> ids)
    {
        var rows = ids.Select(id => Row(_weights["model.embed_tokens.weight"], id, _config.HiddenSize)).ToArray();
        for (var layer = 0; layer < _config.Layers; layer++)
        {
            var prefix = $"model.layers.{layer}.";
            Add(rows, Attention(prefix + "self_attn.", Normalise(rows, prefix + "input_layernorm.weight")));
            Add(rows, FeedForward(prefix + "mlp.", Normalise(rows, prefix + "post_attention_layernorm.weight")));
        }

        return Linear(Normalise(rows, "model.norm.weight"), _config.TiedHead ? "model.embed_tokens.weight" : "lm_head.weight");
    }

    /// <summary>The ids after the prompt when the largest logit is always taken; end tokens end nothing.</summary>
    public int[] Greedy(IReadOnlyList<int> prompt, int count)
    {
        var ids = prompt.ToList();
        for (var i = 0; i < count; i++)
        {
            var row = Logits(ids)[^1];
            ids.Add(Array.IndexOf(row, row.Max()));
        }

        return [.. ids.Skip(prompt.Count)];
    }

    private static Dictionary<string, float[]> ReadWeights(string folder)
    {
        using var file = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        return file.Tensors.Keys.ToDictionary(name => name, file.ReadFloat32);
    }

    private double[][] Attention(string prefix, double[][] rows)
    {
        var (queries, keys, values) = (Linear(rows, prefix + "q_proj.weight"), Linear(rows, prefix + "k_proj.weight"), Linear(rows, prefix + "v_proj.weight"));
        Rotate(queries, _config.Heads);
        Rotate(keys, _config.KeyValueHeads);
        var size = _config.HeadSize;
        var mixed = rows.Select(_ => new double[_config.Heads * size]).ToArray();
        for (var head = 0; head < _config.Heads; head++)
        {
            var (query, shared) = (head * size, head / (_config.Heads / _config.KeyValueHeads) * size);
            for (var t = 0; t < rows.Length; t++)
            {
                var scores = new double[t + 1];
                for (var past = 0; past <= t; past++)
                {
                    for (var i = 0; i < size; i++)
                    {
                        scores[past] += queries[t][query + i] * keys[past][shared + i] / Math.Sqrt(size);
                    }
                }

                var largest = scores.Max();
                var sum = scores.Sum(score => Math.Exp(score - largest));
                for (var past = 0; past <= t; past++)
                {
                    for (var i = 0; i < size; i++)
                    {
                        mixed[t][query + i] += Math.Exp(scores[past] - largest) / sum * values[past][shared + i];
                    }
                }
            }
        }

        return Linear(mixed, prefix + "o_proj.weight");
    }

    private double[][] FeedForward(string prefix, double[][] rows)
    {
        var (gate, up) = (Linear(rows, prefix + "gate_proj.weight"), Linear(rows, prefix + "up_proj.weight"));
        var product = gate.Zip(up, (g, u) => g.Zip(u, (x, y) => x / (1 + Math.Exp(-x)) * y).ToArray()).ToArray();
        return Linear(product, prefix + "down_proj.weight");
    }

    // Dimension i turns with dimension i + size / 2 by position * theta^(-2i / size).
    private void Rotate(double[][] rows, int heads)
    {
        var (size, half) = (_config.HeadSize, _config.HeadSize / 2);
        for (var position = 0; position < rows.Length; position++)
        {
            for (var head = 0; head < heads; head++)
            {
                for (var i = 0; i < half; i++)
                {
                    var angle = position * Math.Pow(_config.RopeTheta, -2.0 * i / size);
                    var (a, b) = ((head * size) + i, (head * size) + i + half);
                    var (x, y) = (rows[position][a], rows[position][b]);
                    rows[position][a] = (x * Math.Cos(angle)) - (y * Math.Sin(angle));
                    rows[position][b] = (y * Math.Cos(angle)) + (x * Math.Sin(angle));
                }
            }
        }
    }

    private double[][] Normalise(double[][] rows, string weight) => [.. rows.Select(row =>
    {
        var scale = 1 / Math.Sqrt(row.Average(x => x * x) + _config.NormEpsilon);
        return row.Zip(_weights[weight], (x, w) => x * scale * w).ToArray();
    })];

    private double[][] Linear(double[][] rows, string weight)
    {
        var matrix = _weights[weight];
        var bias = _weights.GetValueOrDefault(weight.Replace(".weight", ".bias", StringComparison.Ordinal));
        return [.. rows.Select(row =>
        {
            var result = bias?.Select(value => (double)value).ToArray() ?? new double[matrix.Length / row.Length];
            for (var o = 0; o < result.Length; o++)
            {
                for (var i = 0; i < row.Length; i++)
                {
                    result[o] += row[i] * matrix[(o * row.Length) + i];
                }
            }

            return result;
        })];
    }

    private static double[] Row(float[] matrix, int row, int width) => [.. matrix.Skip(row * width).Take(width).Select(x => (double)x)];

    private static void Add(double[][] rows, double[][] deltas)
    {
        for (var t = 0; t < rows.Length; t++)
        {
            for (var i = 0; i < rows[t].Length; i++)
            {
                rows[t][i] += deltas[t][i];
            }
        }
    }
}
