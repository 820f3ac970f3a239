using System.Runtime.InteropServices;
using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Fusion;

/// <summary>
/// Dynamic logit fusion (Fan et al. 2024, arXiv 2406.15480). At each token it moves the large model as far as tuning moved the small one. With
/// d_t = s_plus - s_minus of expert t, P = softmax(s_M), Q_t = softmax(s_minus), Q_t+ = softmax(s_plus), F_a = softmax(s_M + sum of a_t d_t):
///
///     loss(a) = sum over t of (KL(F_a || P) - KL(Q_t+ || Q_t))^2 + (KL(P || F_a) - KL(Q_t || Q_t+))^2
///
/// <see cref="DynamicMode.Single"/> minimises the loss over [minimum, maximum] for each expert alone, with all other factors 0, and takes the
/// expert with the smallest loss. <see cref="DynamicMode.Joint"/>, which is not in the paper, first finds the factor of each expert alone (with its own
/// targets), and then all factors together by moment matching. <see cref="MomentMatching"/> states the objective.
/// </summary>
/// <remarks>
/// Of factors that are equal within the noise of single precision, the one with the smaller change from the previous position wins; at the first position the
/// change is from 1. A delta that is the same for all tokens has no effect, and its factor is 1. A token that any row bans is in no distribution. An absent side of a
/// delta stands for a row of zeros, so its distribution is uniform.
/// </remarks>
public sealed class DynamicFusion : IFusionRule
{
    // All rules of a thread share buffers, which therefore stay in the cache between rows of different requests.
    private static readonly ScratchPool<Scratch> Buffers = new();

    private readonly DynamicOptions options;
    private readonly Interval interval;
    private readonly FactorSearch search;
    private readonly MomentMatching matching;

    /// <exception cref="EngineException">InvalidValue, see <see cref="DynamicOptions.Check"/>.</exception>
    public DynamicFusion(DynamicOptions options)
    {
        options.Check();
        this.options = options;
        interval = new(options.Minimum, options.Maximum);
        search = new(options.Search, interval);
        matching = new(interval);
    }

    public bool Choose(in FusionStep step, Span<float> factors)
    {
        Scratch scratch = Buffers.Rent();
        bool saturated = Choose(scratch.Allowed.Of(step), scratch, factors);
        Buffers.Return(scratch);
        return saturated;
    }

    private bool Choose(in FusionStep rows, Scratch scratch, Span<float> factors)
    {
        if (rows.Base.IsEmpty)
        {
            factors.Fill(interval.Neutral);
            return false;
        }

        while (scratch.Families.Count < rows.Deltas.Length)
        {
            scratch.Families.Add(new());
        }

        ReadOnlySpan<TiltedFamily> families = CollectionsMarshal.AsSpan(scratch.Families);
        for (int t = 0; t < rows.Deltas.Length; t++)
        {
            families[t].Load(rows.Base, rows.Deltas[t], options.Maximum);
        }

        return options.Mode == DynamicMode.Joint && factors.Length > 1 ? ChooseJointly(rows, families, scratch.Joint, factors) : ChooseOne(rows, families, factors);
    }

    private bool ChooseOne(in FusionStep rows, ReadOnlySpan<TiltedFamily> families, Span<float> factors)
    {
        // The sum over experts of squared distances equals the squared distance to the mean of the targets, up to a constant and a factor.
        double forward = 0, backward = 0;
        for (int t = 0; t < factors.Length; t++)
        {
            forward += families[t].Tuning.Forward / factors.Length;
            backward += families[t].Tuning.Backward / factors.Length;
        }

        Divergences target = new(forward, backward);
        int best = 0;
        Factor chosen = search.Solve(families[0], target, Previous(rows, 0));
        for (int t = 1; t < factors.Length; t++)
        {
            Factor other = search.Solve(families[t], target, Previous(rows, t));
            if (other.IsBetter(chosen, target, Change(rows, t, other) - Change(rows, best, chosen)))
            {
                (best, chosen) = (t, other);
            }
        }

        factors.Clear();
        factors[best] = (float)chosen.Value;
        return chosen.Saturated;
    }

    private bool ChooseJointly(in FusionStep rows, ReadOnlySpan<TiltedFamily> families, JointFamily joint, Span<float> factors)
    {
        Span<Tilt> alone = stackalloc Tilt[factors.Length];
        Span<double> solution = stackalloc double[factors.Length];
        for (int t = 0; t < factors.Length; t++)
        {
            Factor factor = search.Solve(families[t], families[t].Tuning, Previous(rows, t));
            alone[t] = families[t].At(factor.Value);
        }

        joint.Load(rows, families);
        bool saturated = matching.Solve(joint, alone, solution);
        for (int t = 0; t < factors.Length; t++)
        {
            factors[t] = (float)solution[t];
        }

        return saturated;
    }

    private static double Previous(in FusionStep rows, int t) => rows.Previous.IsEmpty ? 1 : rows.Previous[t];

    /// <summary>How much all factors change when expert t alone has one, less what the others would change if all were 0.</summary>
    private static double Change(in FusionStep rows, int t, Factor factor) => Math.Abs(factor.Value - Previous(rows, t)) - Previous(rows, t);

    private sealed class Scratch
    {
        public AllowedTokens Allowed { get; } = new();

        public JointFamily Joint { get; } = new();

        public List<TiltedFamily> Families { get; } = [];
    }
}
