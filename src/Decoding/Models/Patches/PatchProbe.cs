using System.Collections.Concurrent;
using Microsoft.ML.OnnxRuntime;
using Onnx;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Checks on one prompt that a patch in a graph's slots does what the same update does as dense matrices, before any request uses it.
/// </summary>
/// <remarks>
/// <para>
/// The first time, the reference is a variant of the graph with D = w (alpha / r) (B A)^T added at its nodes, in a session of its own with one
/// thread; where all D take more than a limit, layer after layer in groups that fit, each group alone in the slots and in the reference. A
/// patch that carries a row which its trainer recorded (<see cref="PatchManifest.Probe"/>) must give that row too, on the weights that it was
/// trained on and in float32. Later times, the row of the first time is the reference, and one run is all.
/// </para>
/// <para>May be called from any thread, while the session runs sequences.</para>
/// </remarks>
/// <param name="model">The variant that the sessions with slots are made of.</param>
/// <param name="baseHash"><see cref="ModelInfo.Hash"/>.</param>
/// <param name="memory">Bytes of the dense matrices at a time, or of one where that is larger.</param>
internal sealed class PatchProbe(DecoderGraph graph, ModelProto model, IReadOnlyList<LinearNode> nodes, string baseHash, long memory = PatchProbe.Memory)
{
    public const long Memory = 256 << 20;
    private const int PromptLength = 12;

    // The uploader chose this prompt; it must not make a check take too long.
    private const int LongestPrompt = 256;
    private const int MaxRecords = 4096;

    private readonly ConcurrentDictionary<string, ProbeRecord> records = [];
    private readonly Lazy<string?> lineage = new(() => Lineage.Of(Path.GetDirectoryName(graph.File)!));

    private readonly double tolerance = ProbeTolerance.Of(model);
    private readonly bool rounds = ProbeTolerance.RoundsActivations(model);

    /// <summary>The record of a patch that was found to be right, to be kept beyond this process; null for another patch.</summary>
    public ProbeRecord? Record(PatchSum patch) => records.GetValueOrDefault(patch.Hash);

    /// <summary>Takes a record of an earlier process, unless it is of another base.</summary>
    public void Add(ProbeRecord record)
    {
        if (records.Count >= MaxRecords)
        {
            records.Clear();
        }

        if (record.Base == baseHash)
        {
            records[record.Patch] = record;
        }
    }

    /// <param name="slots">A session with slots at all nodes that the patch changes.</param>
    /// <exception cref="EngineException">InvalidModelFolder: the logits differ, or the patch cannot run; names patch and base, and the first time the target that differs most alone.</exception>
    public void Check(DecoderSession slots, PatchSum patch, FittedPatch fit)
    {
        try
        {
            if (Record(patch) is { } known)
            {
                Again(slots, patch, fit, known);
            }
            else
            {
                Add(First(slots, patch, fit));
            }
        }
        catch (OnnxRuntimeException error)
        {
            throw new EngineException(EngineError.InvalidModelFolder, $"{patch.Name} on {graph.File} cannot run: {error.Message}", graph.Config.Graph, error);
        }
    }

    private ProbeRecord First(DecoderSession slots, PatchSum patch, FittedPatch fit)
    {
        PatchManifest? manifest = patch.Patches is [{ Weight: 1 } only] ? PatchManifest.TryRead(Path.GetDirectoryName(only.Patch.Path)!) : null;
        PatchProbeRow? recorded = manifest?.Probe is { } probe && probe.Tokens.Count <= Math.Min(LongestPrompt, graph.Config.ContextLength) && probe.Logits.Count <= slots.VocabularySize ? probe : null;
        int[] tokens = [.. recorded?.Tokens ?? Prompt(Math.Min(PromptLength, graph.Config.ContextLength), slots.VocabularySize)];
        int[] touched = [.. Enumerable.Range(0, nodes.Count).Where(i => fit.Pairs[i] is not null)];
        float[] row = new SlotProbe(slots, nodes, fit, tokens).LastRow(touched);
        double difference = touched.Length == 0 ? 0 : FromDense(slots, row, touched, patch, fit, tokens);
        if (recorded is not null && tolerance == ProbeTolerance.Float && !rounds && manifest?.Base?.Weights is { } trained && trained == lineage.Value)
        {
            difference = Math.Max(difference, Require(patch, Difference(recorded.Logits, row), "what its trainer recorded on the same weights", tolerance));
        }

        return new(patch.Hash, baseHash, tokens, ProbeRecord.Sample(row), difference);
    }

    private void Again(DecoderSession slots, PatchSum patch, FittedPatch fit, ProbeRecord known)
    {
        float[] row = new SlotProbe(slots, nodes, fit, known.Tokens).LastRow([.. Enumerable.Range(0, nodes.Count)]);
        Require(patch, Difference(known.Logits, ProbeRecord.Sample(row)), "what they were when it was checked first", rounds ? ProbeTolerance.Rounded : tolerance);
    }

    private double FromDense(DecoderSession slots, float[] row, int[] touched, PatchSum patch, FittedPatch fit, int[] tokens)
    {
        LinearNode[] changed = [.. touched.Select(i => nodes[i])];

        // What rounds activations to 8 bits would hide all but gross errors: slots and dense sums are compared where nothing does, and then that with what runs.
        using DecoderSession? exact = rounds ? graph.Open(LoraSlots.Of(model, changed), isAlone: true) : null;
        using DenseProbe dense = new(graph, model, changed, patch, tokens);
        SlotProbe inSlots = new(exact ?? slots, nodes, fit, tokens);
        float[] whole = exact is null ? row : inSlots.LastRow(touched);
        double difference = 0;
        List<int[]> groups = Groups(touched);
        foreach (int[] group in groups)
        {
            difference = Math.Max(difference, Alone(group, groups.Count == 1 ? whole : inSlots.LastRow(group)));
        }

        if (difference <= tolerance)
        {
            Require(patch, Difference(whole, row), "the same without rounding of activations", ProbeTolerance.Rounding);
            return difference;
        }

        int worst = touched.MaxBy(i => Alone([i], inSlots.LastRow([i])));
        string targets = string.Join(", ", nodes[worst].Parts.Select(part => part.Target).Where(patch.Targets.Contains));
        return Require(patch, difference, $"the same update as dense matrices; the largest difference of one node comes from {targets} at '{nodes[worst].Output}'", tolerance);

        double Alone(int[] group, float[] own) => Difference(dense.LastRow([.. group.Select(i => nodes[i])]), own);
    }

    /// <summary>In the graph's order, each within the memory that dense matrices may take, or of one node.</summary>
    private List<int[]> Groups(int[] touched)
    {
        List<int[]> groups = [];
        for (int next = 0; next < touched.Length; next += groups[^1].Length)
        {
            long bytes = 0;
            groups.Add([.. touched.Skip(next).TakeWhile((i, place) => (bytes += (long)nodes[i].Inputs * nodes[i].Outputs * sizeof(float)) <= memory || place == 0)]);
        }

        return groups;
    }

    private double Require(PatchSum patch, double difference, string reference, double accepted) => difference <= accepted
        ? difference
        : throw new EngineException(
            EngineError.InvalidModelFolder,
            FormattableString.Invariant($"{patch.Name} on {graph.File}: the logits after the probe's prompt differ by {difference:g2} of the largest; accepted is {accepted:g2}. Reference: {reference}."),
            graph.Config.Graph);

    /// <returns>Infinity where a logit is not a number.</returns>
    private static double Difference(IReadOnlyList<float> reference, float[] row)
    {
        double largest = 1, difference = 0;
        for (int i = 0; i < reference.Count; i++)
        {
            double one = Math.Abs((double)reference[i] - row[i]);
            difference = double.IsFinite(one) ? Math.Max(difference, one) : double.PositiveInfinity;
            largest = Math.Max(largest, Math.Abs(reference[i]));
        }

        return double.IsFinite(largest) ? difference / largest : double.PositiveInfinity;
    }

    /// <summary>The same prompt for every patch, with words from the whole vocabulary.</summary>
    private static int[] Prompt(int length, int vocabularySize) => [.. Enumerable.Range(1, length).Select(i => (int)(i * 2654435761L % vocabularySize))];
}
