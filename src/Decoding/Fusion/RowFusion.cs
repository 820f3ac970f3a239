using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Fusion;

/// <summary>Computes one fused row from the members' rows: weights, sum, mask. It has buffers, so each thread uses a separate instance.</summary>
internal sealed class RowFusion
{
    private readonly MissingShift missing = new();
    private readonly List<ReadOnlyMemory<float>> summands = [];
    private readonly List<float> coefficients = [];
    private readonly List<int> used = [];
    private readonly List<ReadOnlyMemory<float>> experts = [];
    private ReadOnlyMemory<float>[] rows = [];
    private DeltaRows[] deltas = [];
    private float[] ungated = [];

    /// <summary>Writes a row, or fails the sequence if a member failed or its row cannot be used.</summary>
    /// <param name="index">The index of the row among the rows of its segment.</param>
    /// <param name="count">The number of these rows.</param>
    /// <param name="fused">The fused row, as wide as the widest member's rows. It receives minus infinity beyond the vocabulary that the streams share.</param>
    public void Fuse(FusedSequence sequence, int index, int count, Span<float> fused)
    {
        foreach (FusedStream stream in sequence.Streams)
        {
            if ((stream.Member.Failure ?? stream.Sequence.Fault) is { } fault)
            {
                sequence.Fail(fault);
                return;
            }
        }

        int position = sequence.Position(index, count);
        Span<float> shared = fused[..sequence.VocabularySize];
        if (Weigh(sequence, index, position, shared) is { } weighing)
        {
            weighing = sequence.IsBasePartial ? weighing with { Missing = missing.Bound(sequence, index, weighing, shared) } : weighing;
            if (sequence.ToScale)
            {
                TensorPrimitives.Subtract(shared, (float)Normaliser(sequence, sequence.Plan.Scale), shared);
            }

            sequence.Record(position, weighing);
            FusionMetrics.Record(weighing);
        }

        fused[shared.Length..].Fill(float.NegativeInfinity);
    }

    /// <returns>The weights; null after a failure of the sequence if a member's row cannot be used.</returns>
    private Weighing? Weigh(FusedSequence sequence, int index, int position, Span<float> fused)
    {
        Collect(sequence, index);
        RunningPlan running = sequence.Running;
        FusionPlan plan = sequence.Plan;
        float[] factors = [], weights = new float[running.Deltas.Count];
        bool saturated = false;
        if (plan.Rule is { } rule && weights.Length > 0)
        {
            if (Unsound(running) is { } culprit)
            {
                Fail(sequence, culprit);
                return null;
            }

            factors = new float[weights.Length];
            ReadOnlySpan<float> previous = sequence.Previous(position)?.Factors;
            saturated = rule.Choose(new FusionStep(rows[running.Base!.Value].Span, deltas.AsSpan(0, factors.Length), previous), factors);
        }

        float share = plan.Schedule.Factor(sequence.ScheduledPosition(position));
        for (int i = 0; i < weights.Length; i++)
        {
            weights[i] = running.Deltas[i].Weight * share * (factors.Length > 0 ? factors[i] : 1);
        }

        GateTrace? gate = null;
        if (IsShut(sequence))
        {
            gate = plan.Trace ? Compare(sequence, weights, fused) : new GateTrace(0, false);
            Array.Clear(weights);
            saturated = false;
        }

        if (!Sum(sequence, weights, fused))
        {
            return null;
        }

        int kept = Mask(sequence, fused);
        return new Weighing(factors, weights, kept, saturated, gate);
    }

    private void Collect(FusedSequence sequence, int index)
    {
        int count = sequence.Streams.Count, width = sequence.VocabularySize;
        Array.Resize(ref rows, Math.Max(rows.Length, count));
        for (int k = 0; k < count; k++)
        {
            rows[k] = sequence.Streams[k].Row(index)[..width];
        }

        IReadOnlyList<FusionDelta> planned = sequence.Running.Deltas;
        Array.Resize(ref deltas, Math.Max(deltas.Length, planned.Count));
        experts.Clear();
        for (int i = 0; i < planned.Count; i++)
        {
            deltas[i] = new(Row(planned[i].Plus), Row(planned[i].Minus));
        }

        foreach (int expert in sequence.Running.Experts)
        {
            experts.Add(rows[expert]);
        }

        ReadOnlyMemory<float> Row(int? stream) => stream is { } k ? rows[k] : default;
    }

    private int? Unsound(RunningPlan running)
    {
        for (int k = 0; k < running.Streams.Count; k++)
        {
            if (WeightedSum.IsUnsound(rows[k].Span))
            {
                return k;
            }
        }

        return null;
    }

    private bool Sum(FusedSequence sequence, ReadOnlySpan<float> weights, Span<float> fused)
    {
        summands.Clear();
        coefficients.Clear();
        used.Clear();
        RunningPlan running = sequence.Running;
        for (int k = 0; k < running.Streams.Count; k++)
        {
            float weight = running.Streams[k].Weight;
            for (int i = 0; i < weights.Length; i++)
            {
                weight += running.Deltas[i].Plus == k ? weights[i] : running.Deltas[i].Minus == k ? -weights[i] : 0;
            }

            if (weight == 0)
            {
                // The sum reveals NaN or infinity in its rows. The other rows must be checked separately.
                if (WeightedSum.IsUnsound(rows[k].Span))
                {
                    Fail(sequence, k);
                    return false;
                }
            }
            else
            {
                summands.Add(rows[k]);
                coefficients.Add(weight);
                used.Add(k);
            }
        }

        if (used.Count == 0)
        {
            // All weights of this token are 0, for example with an expert without a base during a warm-up. All tokens are equally likely then.
            fused.Clear();
            return true;
        }

        int wrong = WeightedSum.Fuse(
            CollectionsMarshal.AsSpan(summands), CollectionsMarshal.AsSpan(coefficients), fused);
        if (wrong >= 0)
        {
            Fail(sequence, wrong < used.Count ? used[wrong] : null);
            return false;
        }

        // If the schedule or the gate leaves the token to the base, the row already is the base's row.
        if (sequence.Plan.DeltaMask is { } mask && weights.ContainsAnyExcept(0))
        {
            mask.Apply(fused, Normaliser(sequence, RowScale.Logprobs), experts[0].Span);
        }

        return true;
    }

    /// <summary>The difference between the newest weighted sum of logits and the same sum on a scale.</summary>
    private double Normaliser(FusedSequence sequence, RowScale scale)
    {
        double sum = 0;
        for (int i = 0; i < used.Count; i++)
        {
            int k = used[i];
            double weight = scale == RowScale.Logprobs ? coefficients[i] : scale == RowScale.BaseLogprobs && k == sequence.Running.Base ? sequence.Running.Streams[k].Weight : 0;
            sum += weight == 0 ? 0 : weight * sequence.Streams[k].Normaliser(rows[k].Span);
        }

        return sum;
    }

    private int Mask(FusedSequence sequence, Span<float> fused)
    {
        int kept = KeepCandidates(sequence, fused);
        return sequence.Plan.BaseOnlyIds is { Count: > 0 } ids ? BaseOnlyTokens.Restore(fused, rows[sequence.Running.Base!.Value].Span, ids) : kept;
    }

    private int KeepCandidates(FusedSequence sequence, Span<float> fused)
    {
        // The count of remaining tokens is for traces only. Without a mask it would cost a pass over the row.
        CandidateMask mask = sequence.Plan.Mask;
        if (mask.Kind == MaskKind.None && !sequence.Plan.Trace)
        {
            return fused.Length;
        }

        ReadOnlySpan<DeltaRows> sides = deltas.AsSpan(0, sequence.Running.Deltas.Count);
        return sequence.Running.Base is { } i
            ? MissingShift.Of(mask, sequence.Streams[i], rows[i].Span).Apply(fused, rows[i].Span, CollectionsMarshal.AsSpan(experts), sides)
            : mask.Apply(fused, default, CollectionsMarshal.AsSpan(experts), sides);
    }

    /// <summary>Whether the gate leaves this token to the base: base and all experts have the same likeliest token, and the base is sure.</summary>
    private bool IsShut(FusedSequence sequence)
    {
        (FusionPlan plan, RunningPlan running) = (sequence.Plan, sequence.Running);
        if (plan.Schedule.Kind != ScheduleKind.Gated || running.Deltas.Count == 0)
        {
            return false;
        }

        ReadOnlySpan<float> ofBase = rows[running.Base!.Value].Span;
        int choice = Sampler.Largest(ofBase);
        for (int i = 0; i < running.Deltas.Count; i++)
        {
            if (running.Deltas[i].Plus is not null && Sampler.Largest(deltas[i].Plus.Span) != choice)
            {
                return false;
            }
        }

        return Math.Exp(ofBase[choice] - sequence.Streams[running.Base.Value].Normaliser(ofBase)) >= plan.Schedule.Threshold;
    }

    /// <summary>Computes the effect that fusion would have had at a token that the gate leaves to the base.</summary>
    private GateTrace Compare(FusedSequence sequence, ReadOnlySpan<float> weights, Span<float> fused)
    {
        Array.Resize(ref ungated, Math.Max(ungated.Length, fused.Length));
        Span<float> open = ungated.AsSpan(0, fused.Length);
        if (!Sum(sequence, weights, open))
        {
            return new(0, false);
        }

        ReadOnlySpan<float> ofBase = rows[sequence.Running.Base!.Value].Span;
        Mask(sequence, open);
        return new(Divergence.Of(open, ofBase), Sampler.Largest(open) != Sampler.Largest(ofBase));
    }

    private static void Fail(FusedSequence sequence, int? stream)
    {
        string culprit = stream is { } k ? $"Model '{sequence.Streams[k].Name}' returned" : "The weighted sum overflowed to";
        sequence.Fail(new(EngineError.ModelFailure, $"{culprit} NaN or infinity among its logits after {sequence.Length} tokens."));
    }
}
