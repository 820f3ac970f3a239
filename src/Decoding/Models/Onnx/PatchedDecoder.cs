using System.Runtime.CompilerServices;
using Onnx;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Runs sequences with patches, and others beside them, as rows of one pass: a session of the graph's variant with slots, over the same weights
/// and the same cache as the session without.
/// </summary>
/// <remarks>
/// Any thread may prepare patches while sequences run. A session that gets more slots is made there, and taken over by the thread that runs the
/// model when it next runs a patch. No patch runs that has not passed a <see cref="PatchProbe"/>.
/// </remarks>
/// <param name="model">The variant that runs where no sequence has a patch.</param>
/// <param name="layout">Of that variant.</param>
internal sealed class PatchedDecoder(DecoderGraph graph, ModelProto model, LinearLayout layout, PatchProbe probe, KeyValueCache cache, DecoderRows rows) : IDisposable
{
    private readonly ConditionalWeakTable<PatchSum, FittedPatch> fitted = [];
    private readonly SortedSet<int> withSlots = [];
    private readonly Lock preparing = new();
    private SlottedSession? prepared;
    private SlottedSession? running;
    private DecoderSession? newest;
    private TimeSpan earlier;

    /// <summary>Time spent in the graph. For the thread that runs the model.</summary>
    public TimeSpan Time => earlier + (running?.Run.Time ?? TimeSpan.Zero);

    /// <summary>The first target that no linear node of the graph is known to hold, or null when the patch can run as rows.</summary>
    public string? Unknown(PatchSum patch) => patch.Targets.Order(StringComparer.Ordinal).FirstOrDefault(target => layout.Refusal(target) is not null);

    /// <summary>Refuses a patch that cannot run as rows.</summary>
    /// <exception cref="EngineException">InvalidModelFolder: the patch does not fit the graph; InvalidValue: it overflows.</exception>
    public FittedPatch Fit(PatchSum patch) => Unknown(patch) is { } unknown
        ? throw EngineException.InFile(
            graph.File, $"no linear node is known to be '{unknown}', which {patch.Name} changes: {layout.Refusal(unknown)}.", graph.Config.Graph)
        : FittedPatch.Of(patch, layout.Nodes);

    /// <summary>Sees to it that the slots which a patch needs exist. Slots at other nodes would only cost time. Does not wait for others where the patch is prepared already.</summary>
    /// <exception cref="EngineException">InvalidModelFolder: the patch does not fit the graph, or does not do in it what it should; InvalidValue: it overflows.</exception>
    public FittedPatch Prepare(PatchSum patch)
    {
        if (fitted.TryGetValue(patch, out FittedPatch? known))
        {
            return known;
        }

        FittedPatch fit = Fit(patch);
        int[] needed = [.. Enumerable.Range(0, layout.Nodes.Count).Where(i => fit.Pairs[i] is not null)];
        lock (preparing)
        {
            if (withSlots.Count == 0 || !withSlots.IsSupersetOf(needed))
            {
                int[] all = [.. withSlots.Union(needed).Order()];
                Interlocked.Exchange(ref prepared, Open(all))?.Dispose();
                withSlots.UnionWith(all);
            }

            // Only one that is newer could take its place and end it, and that is made here.
            probe.Check(newest!, patch, fit);
            return fitted.GetValue(patch, _ => fit);
        }
    }

    /// <summary>The run with slots for every patch that was prepared; there must be one. For the thread that runs the model.</summary>
    public DecoderRun TakeRun()
    {
        if (Interlocked.Exchange(ref prepared, null) is { } next)
        {
            earlier = Time;
            running?.Dispose();
            running = next;
        }

        return running!.Run;
    }

    public void Dispose()
    {
        lock (preparing)
        {
            prepared?.Dispose();
            running?.Dispose();
        }
    }

    private SlottedSession Open(int[] indices)
    {
        newest = graph.Open(LoraSlots.Of(model, indices.Select(i => layout.Nodes[i])));
        return new(newest, cache, rows, new(indices.Select(i => (i, layout.Nodes[i]))));
    }

    /// <summary>A session with slots, and what is bound to it.</summary>
    private sealed class SlottedSession(DecoderSession session, KeyValueCache cache, DecoderRows rows, PatchSlots slots) : IDisposable
    {
        public DecoderRun Run { get; } = new(session, cache, rows, slots);

        public void Dispose()
        {
            Run.Dispose();
            slots.Dispose();
            session.Dispose();
        }
    }
}
