using System.Collections.Concurrent;
using Microsoft.ML.OnnxRuntime;
using Onnx;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Checks a patch before any request uses it: on one prompt, the patch in a graph's slots must give the same logits as the update in dense matrices.
/// </summary>
/// <remarks>
/// <para>
/// The reference of the first check is a variant of the graph with D = w (alpha / r) (B A)^T added at its nodes, in a separate session with one
/// thread. If all D together exceed a limit, groups of nodes that fit are checked one after the other, in the slots and in the reference. A
/// patch with a row that its trainer recorded (<see cref="PatchManifest.Probe"/>) must also give that row, on the weights that it was
/// trained on, unless they were rounded or quantised since. Later checks compare one run with the row of the first check.
/// </para>
/// <para>May be called from any thread, while the session runs sequences.</para>
/// </remarks>
/// <param name="model">The variant from which the sessions with slots are made.</param>
/// <param name="baseHash"><see cref="ModelInfo.Hash"/>.</param>
/// <param name="memory">The largest number of bytes of dense matrices at a time. A single matrix may exceed it.</param>
internal sealed class PatchProbe(DecoderGraph graph, ModelProto model, IReadOnlyList<LinearNode> nodes, string baseHash, long memory = PatchProbe.Memory)
{
    public const long Memory = 256 << 20;
    private const int PromptLength = 12;

    // The uploader chooses the probe's prompt. The limit bounds the time of a check.
    private const int LongestPrompt = 256;
    private const int MaxRecords = 4096;

    private readonly ConcurrentDictionary<string, ProbeRecord> records = [];
    private readonly Lazy<string?> lineage = new(() => Lineage.Of(Path.GetDirectoryName(graph.File)!));

    private readonly double tolerance = ProbeTolerance.Of(model);
    private readonly bool rounds = ProbeTolerance.RoundsActivations(model);

    /// <summary>The record of a patch that passed its check, to be stored beyond this process; null for other patches.</summary>
    public ProbeRecord? Record(PatchSum patch) => records.GetValueOrDefault(patch.Hash);

    /// <summary>Adds a record of an earlier process, unless it belongs to another base.</summary>
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
    /// <exception cref="EngineException">InvalidModelFolder: the logits differ, or the patch cannot run. The message names patch and base, and in the first check the target with the largest difference.</exception>
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
        if (recorded is not null && ProbeTolerance.HasExactWeights(model) && manifest?.Base?.Weights is { } trained && trained == lineage.Value)
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

        // Rounding of activations to 8 bits would hide small errors. Slots and dense sums are compared without rounding, and then the slots with and without rounding.
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

    /// <summary>Groups of nodes in the graph's order. The dense matrices of a group fit into the memory limit, or the group has one node.</summary>
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

    /// <returns>The difference; infinity if a logit is not a number.</returns>
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

    /// <summary>A prompt with tokens from the whole vocabulary, the same for every patch.</summary>
    private static int[] Prompt(int length, int vocabularySize) => [.. Enumerable.Range(1, length).Select(i => (int)(i * 2654435761L % vocabularySize))];
}
