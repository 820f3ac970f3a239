using System.Runtime.CompilerServices;
using Onnx;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Graphs;
using ProxyTune.Checkpoints.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Runs sequences with and without patches as rows of one pass. Its session uses the graph's variant with slots, with the same weights
/// and the same cache as the session without slots.
/// </summary>
/// <remarks>
/// Any thread may prepare patches while sequences run. That thread makes a session with more slots, and the thread that runs the model uses it from
/// its next run of a patch on. A patch runs only after it has passed a <see cref="PatchProbe"/>.
/// </remarks>
/// <param name="model">The variant without slots.</param>
/// <param name="layout">The layout of that variant.</param>
internal sealed class PatchedDecoder(DecoderGraph graph, ModelProto model, LinearLayout layout, PatchProbe probe, KeyValueCache cache, RowMemory rows) : IDisposable
{
    private readonly ConditionalWeakTable<PatchSum, FittedPatch> fitted = [];
    private readonly SortedSet<int> withSlots = [];
    private readonly Lock preparing = new();
    private SlottedSession? prepared;
    private SlottedSession? running;
    private DecoderSession? newest;
    private TimeSpan earlier;
    private bool isDisposed;

    /// <summary>The time in the graph. Only the thread that runs the model reads it.</summary>
    public TimeSpan Time => earlier + (running?.Run.Time ?? TimeSpan.Zero);

    /// <summary>The first target that no known linear node of the graph holds; null if the patch can run as rows.</summary>
    public string? Unknown(PatchSum patch) => patch.Targets.Order(StringComparer.Ordinal).FirstOrDefault(target => layout.Refusal(target) is not null);

    /// <summary>Refuses a patch that cannot run as rows.</summary>
    /// <exception cref="EngineException">InvalidModelFolder: the patch does not fit the graph; InvalidValue: it overflows.</exception>
    public FittedPatch Fit(PatchSum patch) => Unknown(patch) is { } unknown
        ? throw EngineException.InFile(
            graph.File, $"no linear node is known to be '{unknown}', which {patch.Name} changes: {layout.Refusal(unknown)}.", graph.Config.Graph)
        : FittedPatch.Of(patch, layout.Nodes);

    /// <summary>Makes the slots that a patch needs. There are no slots at other nodes, since they would cost time. A call for a prepared patch does not wait.</summary>
    /// <exception cref="EngineException">InvalidModelFolder: the patch does not fit the graph, or fails its probe; InvalidValue: it overflows.</exception>
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
            // A model may be retired while a patch is being prepared for it.
            ObjectDisposedException.ThrowIf(isDisposed, this);
            if (withSlots.Count == 0 || !withSlots.IsSupersetOf(needed))
            {
                int[] all = [.. withSlots.Union(needed).Order()];
                Interlocked.Exchange(ref prepared, Open(all))?.Dispose();
                withSlots.UnionWith(all);
            }

            // Only a newer session could replace and dispose this one, and newer sessions are made in this method only.
            probe.Check(newest!, patch, fit);
            return fitted.GetValue(patch, _ => fit);
        }
    }

    /// <summary>The run with slots for every prepared patch. At least one patch must be prepared. Only the thread that runs the model calls it.</summary>
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
            isDisposed = true;
            prepared?.Dispose();
            running?.Dispose();
        }
    }

    private SlottedSession Open(int[] indices)
    {
        DecoderSession session = graph.Open(LoraSlots.Of(model, indices.Select(i => layout.Nodes[i])));
        try
        {
            SlottedSession slotted = new(session, cache, rows, new(indices.Select(i => (i, layout.Nodes[i]))));
            newest = session;
            return slotted;
        }
        catch
        {
            session.Dispose();
            throw;
        }
    }

    /// <summary>A session with slots, and its bindings.</summary>
    private sealed class SlottedSession(DecoderSession session, KeyValueCache cache, RowMemory rows, PatchSlots slots) : IDisposable
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
