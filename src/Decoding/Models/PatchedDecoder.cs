using System.Runtime.CompilerServices;

using Onnx;

using ProxyTune.Decoding.Models.KeyValues;
using ProxyTune.Decoding.Onnx;
using ProxyTune.Decoding.Patches;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// Runs sequences with patches, and others beside them, as rows of one pass: a session of the graph's variant with slots, over the same weights
/// and the same cache as the session without.
/// </summary>
/// <param name="model">The variant that runs where no sequence has a patch.</param>
internal sealed class PatchedDecoder(DecoderGraph graph, ModelProto model, KeyValueCache cache) : IDisposable
{
    private readonly IReadOnlyList<LinearNode> nodes = LinearNodes.Find(model.Graph);
    private readonly ConditionalWeakTable<PatchSum, FittedPatch> fitted = [];
    private readonly SortedSet<int> withSlots = [];
    private DecoderSession? session;
    private PatchSlots? slots;

    /// <summary>Null until the first patch is prepared.</summary>
    public DecoderRun? Run { get; private set; }

    /// <summary>The first target that no linear node of the graph is known to hold, or null when the patch can run as rows.</summary>
    public string? Unknown(PatchSum patch) => patch.Targets.Order(StringComparer.Ordinal).FirstOrDefault(target => !nodes.Any(node => node.Parts.Any(part => part.Target == target)));

    /// <summary>Sees to it that the slots which a patch needs exist. Slots at other nodes would only cost time.</summary>
    /// <exception cref="EngineException">InvalidModelFolder: the patch does not fit the graph; InvalidValue: it overflows.</exception>
    public FittedPatch Prepare(PatchSum patch)
    {
        if (fitted.TryGetValue(patch, out FittedPatch? known))
        {
            return known;
        }

        if (Unknown(patch) is { } unknown)
        {
            throw new EngineException(
                EngineError.InvalidModelFolder, $"{graph.File} has no linear node that is known to be '{unknown}', which {patch.Name} changes.", graph.Config.Graph);
        }

        FittedPatch fit = FittedPatch.Of(patch, nodes);
        int[] needed = [.. Enumerable.Range(0, nodes.Count).Where(i => fit.Pairs[i] is not null)];
        if (Run is null || !withSlots.IsSupersetOf(needed))
        {
            withSlots.UnionWith(needed);
            Open();
        }

        fitted.Add(patch, fit);
        return fit;
    }

    public void Dispose()
    {
        Run?.Dispose();
        slots?.Dispose();
        session?.Dispose();
        (Run, slots, session) = (null, null, null);
    }

    private void Open()
    {
        Dispose();
        session = graph.Open(LoraSlots.Of(model, withSlots.Select(i => nodes[i])));
        slots = new(withSlots.Select(i => (i, nodes[i])));
        Run = new(session, cache, slots);
    }
}
