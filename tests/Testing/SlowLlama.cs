using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Testing;

/// <summary>
/// A Llama decoder in plain loops and double precision over a Hugging Face checkpoint: the oracle for all faster implementations. It has no
/// cache and no batches.
/// </summary>
public sealed class SlowLlama(string folder)
{
    private readonly DecoderSpec config = DecoderSpec.Read(folder);
    private readonly Dictionary<string, float[]> weights = ReadWeights(folder);

    /// <returns>One row of logits per position.</returns>
    public double[][] Logits(IReadOnlyList<int> ids)
    {
        double[][] rows = ids.Select(id => Row(weights["model.embed_tokens.weight"], id, config.HiddenSize)).ToArray();
        for (int layer = 0; layer < config.Layers; layer++)
        {
            string prefix = $"model.layers.{layer}.";
            Add(rows, Attention(prefix + "self_attn.", Normalise(rows, prefix + "input_layernorm.weight")));
            Add(rows, FeedForward(prefix + "mlp.", Normalise(rows, prefix + "post_attention_layernorm.weight")));
        }

        return Linear(Normalise(rows, "model.norm.weight"), config.TiedHead ? "model.embed_tokens.weight" : "lm_head.weight");
    }

    /// <summary>Decodes greedily. End tokens do not end the text.</summary>
    public int[] Greedy(IReadOnlyList<int> prompt, int count)
    {
        List<int> ids = prompt.ToList();
        for (int i = 0; i < count; i++)
        {
            double[] row = Logits(ids)[^1];
            ids.Add(Array.IndexOf(row, row.Max()));
        }

        return [.. ids.Skip(prompt.Count)];
    }

    private static Dictionary<string, float[]> ReadWeights(string folder)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        return file.Tensors.Keys.ToDictionary(name => name, file.ReadFloat32);
    }

    private double[][] Attention(string prefix, double[][] rows)
    {
        (double[][]? queries, double[][]? keys, double[][]? values) = (Linear(rows, prefix + "q_proj.weight"), Linear(rows, prefix + "k_proj.weight"), Linear(rows, prefix + "v_proj.weight"));
        Rotate(queries, config.Heads);
        Rotate(keys, config.KeyValueHeads);
        int size = config.HeadSize;
        double[][] mixed = rows.Select(_ => new double[config.Heads * size]).ToArray();
        for (int head = 0; head < config.Heads; head++)
        {
            (int query, int shared) = (head * size, head / (config.Heads / config.KeyValueHeads) * size);
            for (int t = 0; t < rows.Length; t++)
            {
                double[] scores = new double[t + 1];
                for (int past = 0; past <= t; past++)
                {
                    for (int i = 0; i < size; i++)
                    {
                        scores[past] += queries[t][query + i] * keys[past][shared + i] / Math.Sqrt(size);
                    }
                }

                double largest = scores.Max();
                double sum = scores.Sum(score => Math.Exp(score - largest));
                for (int past = 0; past <= t; past++)
                {
                    for (int i = 0; i < size; i++)
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
        (double[][]? gate, double[][]? up) = (Linear(rows, prefix + "gate_proj.weight"), Linear(rows, prefix + "up_proj.weight"));
        double[][] product = gate.Zip(up, (g, u) => g.Zip(u, (x, y) => x / (1 + Math.Exp(-x)) * y).ToArray()).ToArray();
        return Linear(product, prefix + "down_proj.weight");
    }

    // Dimensions i and i + size / 2 rotate together, by the angle position * theta^(-2i / size).
    private void Rotate(double[][] rows, int heads)
    {
        (int size, int half) = (config.HeadSize, config.HeadSize / 2);
        for (int position = 0; position < rows.Length; position++)
        {
            for (int head = 0; head < heads; head++)
            {
                for (int i = 0; i < half; i++)
                {
                    double angle = position * Math.Pow(config.RopeTheta, -2.0 * i / size);
                    (int a, int b) = ((head * size) + i, (head * size) + i + half);
                    (double x, double y) = (rows[position][a], rows[position][b]);
                    rows[position][a] = (x * Math.Cos(angle)) - (y * Math.Sin(angle));
                    rows[position][b] = (y * Math.Cos(angle)) + (x * Math.Sin(angle));
                }
            }
        }
    }

    private double[][] Normalise(double[][] rows, string weight) => [.. rows.Select(row =>
    {
        double scale = 1 / Math.Sqrt(row.Average(x => x * x) + config.NormEpsilon);
        return row.Zip(weights[weight], (x, w) => x * scale * w).ToArray();
    })];

    private double[][] Linear(double[][] rows, string weight)
    {
        float[] matrix = weights[weight];
        float[]? bias = weights.GetValueOrDefault(weight.Replace(".weight", ".bias", StringComparison.Ordinal));
        return [.. rows.Select(row =>
        {
            double[] result = bias?.Select(value => (double)value).ToArray() ?? new double[matrix.Length / row.Length];
            for (int o = 0; o < result.Length; o++)
            {
                for (int i = 0; i < row.Length; i++)
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
        for (int t = 0; t < rows.Length; t++)
        {
            for (int i = 0; i < rows[t].Length; i++)
            {
                rows[t][i] += deltas[t][i];
            }
        }
    }
}
