using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Testing;

/// <summary>
/// A decoder of any family in plain loops and double precision over a Hugging Face checkpoint. It has no cache and no batches, and it reads the weights
/// under the checkpoint's names and in the checkpoint's layout.
/// </summary>
public sealed class SlowDecoder(string folder)
{
    private readonly DecoderSpec spec = DecoderSpec.Read(folder);
    private readonly Dictionary<string, float[]> weights = ReadWeights(folder);

    /// <param name="isLong">Whether the text counts as long for LongRoPE.</param>
    /// <returns>One row of logits per position.</returns>
    public double[][] Logits(IReadOnlyList<int> ids, bool isLong = false)
    {
        float[] embedding = weights["model.embed_tokens.weight"];
        double[][] rows = [.. ids.Select(id => embedding.Skip(id * spec.HiddenSize).Take(spec.HiddenSize).Select(x => x * spec.EmbeddingScale).ToArray())];
        bool before = spec.Norms.HasFlag(NormPlaces.Before), after = spec.Norms.HasFlag(NormPlaces.After);
        for (int layer = 0; layer < spec.Layers; layer++)
        {
            string prefix = $"model.layers.{layer}.";
            double[][] attended = Attention(layer, before ? Norm(rows, prefix + "input_layernorm") : rows, isLong);
            Add(rows, after ? Norm(attended, prefix + "post_attention_layernorm") : attended);
            double[][] fed = FeedForward(prefix + "mlp.", before ? Norm(rows, prefix + (after ? "pre_feedforward_layernorm" : "post_attention_layernorm")) : rows);
            Add(rows, after ? Norm(fed, prefix + "post_feedforward_layernorm") : fed);
        }

        double[][] logits = Linear(Norm(rows, "model.norm"), spec.TiedHead ? "model.embed_tokens" : "lm_head");
        return [.. logits.Select(row => row.Select(logit => Capped(logit / spec.LogitsDivisor, spec.LogitsSoftCap)).ToArray())];
    }

    private static Dictionary<string, float[]> ReadWeights(string folder)
    {
        using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(folder, "model.safetensors"));
        return file.Tensors.Keys.ToDictionary(name => name, file.ReadFloat32);
    }

    private static double Capped(double value, double? cap) => cap is { } limit ? limit * Math.Tanh(value / limit) : value;

    private double[][] Attention(int layer, double[][] rows, bool isLong)
    {
        string prefix = $"model.layers.{layer}.self_attn.";
        int size = spec.HeadSize, queryWidth = spec.Heads * size, keyWidth = spec.KeyValueHeads * size;
        double[][] queries, keys, values;
        if (spec.FusedProjections)
        {
            double[][] all = Linear(rows, prefix + "qkv_proj");
            (queries, keys, values) = ([.. all.Select(row => row[..queryWidth])], [.. all.Select(row => row[queryWidth..(queryWidth + keyWidth)])], [.. all.Select(row => row[(queryWidth + keyWidth)..])]);
        }
        else
        {
            (queries, keys, values) = (Linear(rows, prefix + "q_proj"), Linear(rows, prefix + "k_proj"), Linear(rows, prefix + "v_proj"));
        }

        (queries, keys) = (HeadNormed(queries, prefix + "q_norm"), HeadNormed(keys, prefix + "k_norm"));
        LayerAttention own = spec.AttentionOf(layer);
        if (own.HasRope)
        {
            Rotate(queries, own, isLong);
            Rotate(keys, own, isLong);
        }

        double scale = spec.AttentionScale ?? (1 / Math.Sqrt(size));
        double[][] mixed = [.. rows.Select(_ => new double[queryWidth])];
        for (int head = 0; head < spec.Heads; head++)
        {
            (int query, int shared) = (head * size, head / (spec.Heads / spec.KeyValueHeads) * size);
            for (int t = 0; t < rows.Length; t++)
            {
                int first = own.Window is { } window ? Math.Max(0, t - window + 1) : 0;
                double[] scores = [.. Enumerable.Range(first, t + 1 - first).Select(past => Capped(scale * Enumerable.Range(0, size).Sum(i => queries[t][query + i] * keys[past][shared + i]), spec.AttentionSoftCap))];
                double largest = scores.Max(), sum = scores.Sum(score => Math.Exp(score - largest));
                for (int past = first; past <= t; past++)
                {
                    for (int i = 0; i < size; i++)
                    {
                        mixed[t][query + i] += Math.Exp(scores[past - first] - largest) / sum * values[past][shared + i];
                    }
                }
            }
        }

        return Linear(mixed, prefix + "o_proj");
    }

    private double[][] FeedForward(string prefix, double[][] rows)
    {
        double[][] gate, up;
        if (spec.FusedProjections)
        {
            double[][] both = Linear(rows, prefix + "gate_up_proj");
            (gate, up) = ([.. both.Select(row => row[..spec.IntermediateSize])], [.. both.Select(row => row[spec.IntermediateSize..])]);
        }
        else
        {
            (gate, up) = (Linear(rows, prefix + "gate_proj"), Linear(rows, prefix + "up_proj"));
        }

        return Linear([.. gate.Zip(up, (g, u) => g.Zip(u, (x, y) => Activated(x) * y).ToArray())], prefix + "down_proj");
    }

    private double Activated(double x) => spec.Activation switch
    {
        Activation.Silu => x / (1 + Math.Exp(-x)),
        Activation.GeluTanh => x / 2 * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x)))),
        Activation.Gelu => x / 2 * (1 + Erf(x / Math.Sqrt(2))),
        Activation.Relu => Math.Max(0, x),
        _ => throw new ArgumentOutOfRangeException(spec.Activation.ToString()),
    };

    // The Taylor series: sum of (-1)^n x^(2n + 1) / (n! (2n + 1)), times 2 / sqrt(pi). Beyond 4 the series cancels, and the value is 1 within 2e-8.
    private static double Erf(double x)
    {
        if (Math.Abs(x) > 4)
        {
            return Math.Sign(x);
        }

        double sum = 0, term = x;
        for (int n = 0; n < 200; n++)
        {
            sum += term / ((2 * n) + 1);
            term *= -x * x / (n + 1);
        }

        return 2 / Math.Sqrt(Math.PI) * sum;
    }

    // Dimensions i and i + rotated / 2 rotate together; the other dimensions stay.
    private void Rotate(double[][] rows, LayerAttention own, bool isLong)
    {
        int size = spec.HeadSize, rotated = spec.RotarySize ?? size;
        RopeSpec rope = own.Window is not null && spec.WindowRope is { } window ? window : new(spec.RopeTheta, spec.RopeScaling);
        double[] frequencies = rope.Scaling switch
        {
            null => [.. Enumerable.Range(0, rotated / 2).Select(i => Math.Pow(rope.Theta, -2.0 * i / rotated))],
            LongRopeScaling both when isLong => both.LongFrequencies(rope.Theta, rotated),
            { } scaling => scaling.Frequencies(rope.Theta, rotated),
        };
        double factor = rope.Scaling?.AttentionFactor ?? 1;
        for (int position = 0; position < rows.Length; position++)
        {
            for (int head = 0; head < rows[position].Length; head += size)
            {
                for (int i = 0; i < rotated / 2; i++)
                {
                    (int a, int b, double angle) = (head + i, head + i + (rotated / 2), position * frequencies[i]);
                    (double x, double y) = (rows[position][a], rows[position][b]);
                    rows[position][a] = factor * ((x * Math.Cos(angle)) - (y * Math.Sin(angle)));
                    rows[position][b] = factor * ((y * Math.Cos(angle)) + (x * Math.Sin(angle)));
                }
            }
        }
    }

    private double[][] HeadNormed(double[][] rows, string module) => spec.HeadNorm switch
    {
        HeadNorm.None => rows,
        HeadNorm.AllHeads => Norm(rows, module),
        _ => [.. rows.Select(row => Norm([.. row.Chunk(spec.HeadSize)], module).SelectMany(head => head).ToArray())],
    };

    private double[][] Norm(double[][] rows, string module) => [.. rows.Select(row =>
    {
        double scale = 1 / Math.Sqrt(row.Average(x => x * x) + spec.NormEpsilon);
        return row.Zip(weights[module + ".weight"], (x, w) => x * scale * (spec.NormsAddOne ? 1 + w : w)).ToArray();
    })];

    private double[][] Linear(double[][] rows, string module)
    {
        float[] matrix = weights[module + ".weight"];
        float[]? bias = weights.GetValueOrDefault(module + ".bias");
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

    private void Add(double[][] rows, double[][] deltas)
    {
        for (int t = 0; t < rows.Length; t++)
        {
            for (int i = 0; i < rows[t].Length; i++)
            {
                rows[t][i] += spec.ResidualScale * deltas[t][i];
            }
        }
    }
}
