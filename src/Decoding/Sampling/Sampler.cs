using System.Buffers;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;

namespace ProxyTune.Decoding.Sampling;

/// <summary>
/// Draws the next token. No state: the draw is a function of row, generated ids, options and position, so the same seed gives the same
/// text alone, in a batch and after a rewind.
/// </summary>
/// <remarks>
/// The order is fixed: logit_bias, penalties (repetition, presence, frequency), temperature, top-k, top-p, min-p, draw. Nothing sorts the
/// vocabulary. The draw adds Gumbel noise, a hash of (seed, position, token), to each kept logit and takes the largest.
/// </remarks>
public static class Sampler
{
    private const int Block = 512;

    /// <param name="row">Logits [vocabulary]; not changed. Minus infinity bans a token.</param>
    /// <param name="generated">The answer so far; what penalties look at.</param>
    /// <param name="options">Checked by <see cref="SamplingOptions.Check"/>.</param>
    /// <param name="position">Index of the token to draw within the answer.</param>
    /// <exception cref="EngineException">ModelFailure when every token is banned, or a logit is NaN or plus infinity.</exception>
    public static int Next(ReadOnlySpan<float> row, ReadOnlySpan<int> generated, SamplingOptions options, int position)
    {
        TokenCounts counts = new();
        foreach (int id in generated)
        {
            counts.Add(id);
        }

        return Next(row, counts, [], options, position);
    }

    /// <summary>The same for an answer whose tokens are counted as they are drawn, so that penalties do not walk it again for each token.</summary>
    /// <param name="generated">The tokens of the answer without its draft.</param>
    /// <param name="drafted">The draft tokens, which belong to the answer for this draw.</param>
    /// <exception cref="EngineException">ModelFailure when every token is banned, or a logit is NaN or plus infinity.</exception>
    public static int Next(ReadOnlySpan<float> row, TokenCounts generated, ReadOnlySpan<int> drafted, SamplingOptions options, int position)
    {
        bool edited = Penalties.Any(options, generated.Count + drafted.Length);
        if (options.Temperature == 0 && !edited)
        {
            return Likeliest(row);
        }

        float[] rented = ArrayPool<float>.Shared.Rent(row.Length);
        try
        {
            Span<float> scores = rented.AsSpan(0, row.Length);
            if (edited)
            {
                row.CopyTo(scores);
                Penalties.Apply(scores, generated, drafted, options);
                row = scores;
            }

            int likeliest = Likeliest(row);
            if (options.Temperature == 0)
            {
                return likeliest;
            }

            Scale(row, row[likeliest], options.Temperature, scores);
            GumbelNoise noise = new(options.Seed, position);
            if (options.TopP < 1 && options.TopK == 0)
            {
                // A winner among more tokens than the nucleus that lies in the nucleus wins there too. At least the share p of all draws does.
                int winner = GumbelRace.Winner(scores, Truncation.MinP(options), noise, likeliest);
                if (Nucleus.Holds(scores, options.TopP, winner))
                {
                    return winner;
                }
            }

            return GumbelRace.Winner(scores, Truncation.Find(scores, options), noise, likeliest);
        }
        finally
        {
            ArrayPool<float>.Shared.Return(rented);
        }
    }

    /// <summary>Index of the largest score, the lowest one among equals (0 and -0 are equal); of a NaN where there is one.</summary>
    internal static int Largest(ReadOnlySpan<float> row)
    {
        // Finding only the block, and then the place in it, takes a fraction of the time of TensorPrimitives.IndexOfMax.
        int best = 0;
        float largest = float.NegativeInfinity;
        for (int start = 0; start < row.Length; start += Block)
        {
            float ofBlock = TensorPrimitives.Max(row.Slice(start, Math.Min(Block, row.Length - start)));
            if (ofBlock > largest)
            {
                (best, largest) = (start, ofBlock);
            }
            else if (float.IsNaN(ofBlock))
            {
                return TensorPrimitives.IndexOfMax(row);
            }
        }

        while (row[best] < largest)
        {
            best++;
        }

        return best;
    }

    /// <summary>Relative to the maximum, which softmax does not see, so that a tiny temperature cannot overflow.</summary>
    private static void Scale(ReadOnlySpan<float> row, float largest, float temperature, Span<float> scores)
    {
        // In blocks, so that the second operation finds the results of the first in the nearest cache.
        for (int start = 0; start < row.Length; start += Block)
        {
            Span<float> block = scores.Slice(start, Math.Min(Block, row.Length - start));
            TensorPrimitives.Subtract(row.Slice(start, block.Length), largest, block);
            TensorPrimitives.Divide(block, temperature, block);
        }
    }

    private static int Likeliest(ReadOnlySpan<float> row)
    {
        int id = Largest(row);
        return float.IsFinite(row[id])
            ? id
            : throw new EngineException(EngineError.ModelFailure, $"No token can be drawn: the largest logit is {row[id]} (token {id}).");
    }
}

/// <summary>How often each token occurs in an answer.</summary>
public sealed class TokenCounts
{
    private readonly Dictionary<int, int> counts = [];

    internal Dictionary<int, int> All => counts;

    /// <summary>The number of tokens.</summary>
    public int Count { get; private set; }

    public void Add(int id)
    {
        CollectionsMarshal.GetValueRefOrAddDefault(counts, id, out _)++;
        Count++;
    }
}

/// <summary>Edits of single logits: logit_bias, then repetition, presence and frequency penalties of tokens generated so far.</summary>
internal static class Penalties
{
    /// <summary>Whether the options change any logit.</summary>
    /// <param name="generated">The number of generated tokens.</param>
    public static bool Any(SamplingOptions options, int generated) =>
        options.LogitBias.Count > 0 || (generated > 0 && AnyPenalty(options));

    /// <summary>Costs a constant for each different token of the answer.</summary>
    public static void Apply(Span<float> scores, TokenCounts generated, ReadOnlySpan<int> drafted, SamplingOptions options)
    {
        foreach ((int id, float bias) in options.LogitBias)
        {
            scores[id] += bias;
        }

        if (!AnyPenalty(options))
        {
            return;
        }

        foreach ((int id, int count) in generated.All)
        {
            Apply(ref scores[id], count + drafted.Count(id), options);
        }

        // The draft has few tokens.
        for (int i = 0; i < drafted.Length; i++)
        {
            if (!generated.All.ContainsKey(drafted[i]) && !drafted[..i].Contains(drafted[i]))
            {
                Apply(ref scores[drafted[i]], drafted.Count(drafted[i]), options);
            }
        }
    }

    private static void Apply(ref float score, int count, SamplingOptions options) =>
        score = (score > 0 ? score / options.RepetitionPenalty : score * options.RepetitionPenalty) - options.PresencePenalty - (count * options.FrequencyPenalty);

    private static bool AnyPenalty(SamplingOptions options) =>
        options.RepetitionPenalty != 1 || options.PresencePenalty != 0 || options.FrequencyPenalty != 0;
}

/// <summary>The sampling chain of one request. The order in which it applies is fixed: see <see cref="Sampler"/>.</summary>
public sealed record SamplingOptions
{
    /// <summary>0 (greedy) to 2. Default 1.</summary>
    public float Temperature { get; init; } = 1;

    /// <summary>Keep the k likeliest; 0 keeps all.</summary>
    public int TopK { get; init; }

    /// <summary>Keep the smallest set whose probability reaches this. (0, 1], 1 keeps all.</summary>
    public float TopP { get; init; } = 1;

    /// <summary>Keep tokens with at least this fraction of the likeliest one's probability. [0, 1], 0 keeps all.</summary>
    public float MinP { get; init; }

    /// <summary>-2 to 2, subtracted once per distinct generated token.</summary>
    public float PresencePenalty { get; init; }

    /// <summary>-2 to 2, subtracted once per occurrence among the generated tokens.</summary>
    public float FrequencyPenalty { get; init; }

    /// <summary>Above 0; positive logits of generated tokens are divided, negative ones multiplied by it (Keskar et al. 2019). 1 is off.</summary>
    public float RepetitionPenalty { get; init; } = 1;

    /// <summary>Token id to -100..100, added to its logit.</summary>
    public IReadOnlyDictionary<int, float> LogitBias { get; init; } = new Dictionary<int, float>();

    /// <summary>The same seed gives the same text, alone and in a batch.</summary>
    public ulong Seed { get; init; }

    /// <summary>Refuses what lies outside the ranges above.</summary>
    /// <exception cref="EngineException">InvalidValue with the field's name as in OpenAI's API (<c>top_p</c>).</exception>
    public void Check(int vocabularySize)
    {
        RangeCheck.Between("temperature", Temperature, 0, 2);
        RangeCheck.Between("top_k", TopK, 0, int.MaxValue);
        RangeCheck.Between("top_p", TopP, float.Epsilon, 1, "above 0 and at most 1");
        RangeCheck.Between("min_p", MinP, 0, 1);
        RangeCheck.Between("presence_penalty", PresencePenalty, -2, 2);
        RangeCheck.Between("frequency_penalty", FrequencyPenalty, -2, 2);
        RangeCheck.Between("repetition_penalty", RepetitionPenalty, float.Epsilon, float.MaxValue, "above 0");
        foreach ((int id, float bias) in LogitBias)
        {
            RangeCheck.Between("logit_bias", id, 0, vocabularySize - 1, $"a token id from 0 to {vocabularySize - 1}");
            RangeCheck.Between("logit_bias", bias, -100, 100);
        }
    }
}
