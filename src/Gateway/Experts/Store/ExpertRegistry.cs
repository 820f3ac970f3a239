using System.Collections.Concurrent;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Experts;

/// <summary>
/// The experts that operators brought, and what is served of them: the only writer of both. A change is on the disk before anybody sees it, and
/// is served again after a restart. Thread-safe.
/// </summary>
public sealed class ExpertRegistry : IDisposable
{
    private readonly ExpertStore store;
    private readonly ModelHost host;
    private readonly HotServing hot;
    private readonly PatchFitting fitting;
    private readonly ConcurrentDictionary<string, string> failures = [];

    private ExpertRegistry(ExpertStore store, ModelHost host, DecodeScheduler scheduler) =>
        (this.store, this.host, hot, fitting) = (store, host, new(host, scheduler), new(store, host));

    /// <summary>What was served when the server stopped and cannot be now, by name, with the reason.</summary>
    public IReadOnlyDictionary<string, string> Failures => failures;

    /// <summary>The model folders that patches may be plugged into.</summary>
    public IEnumerable<string> Bases => fitting.Bases;

    /// <summary>Serves again what was served before. What cannot be served any more is in <see cref="Failures"/>, and nothing else stops for it.</summary>
    /// <param name="host">Loaded with the store's uploads.</param>
    /// <param name="scheduler">Runs the catalog's ensemble.</param>
    public static async Task<ExpertRegistry> OpenAsync(ExpertStore store, ModelHost host, DecodeScheduler scheduler)
    {
        ExpertRegistry registry = new(store, host, scheduler);
        foreach (ServedRecord served in store.Registry.Served)
        {
            try
            {
                registry.RequireUnambiguous(served.Entry);
                registry.RequireWeights(served);
                await registry.hot.ServeAsync(served.Entry);
            }
            catch (EngineException error)
            {
                registry.failures[served.Name] = error.Message;
            }
        }

        return registry;
    }

    /// <summary>Refuses an id that means something else already: names in entries must mean one thing.</summary>
    /// <exception cref="EngineException">Conflict.</exception>
    public void RequireFree(string id)
    {
        if (ExpertStore.IsId(id) && host.Owns(id))
        {
            throw new EngineException(EngineError.Conflict, $"id is '{id}', which is a model or a patch of the models folder; take another.", "id");
        }
    }

    /// <summary>How a patch stands to a base.</summary>
    /// <exception cref="EngineException">UnknownUpload; UnknownModel; InvalidValue: the expert is no patch.</exception>
    public PatchFit Fit(string id, string folder) => fitting.Of(Patch(id), folder);

    /// <summary>How a patch stands to every base; empty for a model.</summary>
    /// <exception cref="EngineException">UnknownUpload.</exception>
    public IReadOnlyList<PatchFit> Fits(string id) =>
        store.Get(id) is { Kind: ExpertKind.Patch } patch ? [.. fitting.Bases.Select(folder => fitting.Of(patch, folder))] : [];

    /// <exception cref="EngineException">UnknownModel: the expert is not served under that name.</exception>
    public void RequireServed(string id, string name) => Served(id, name);

    /// <summary>What is served of an expert.</summary>
    public IReadOnlyList<ServedExpertInfo> ServedOf(string id) =>
        [.. store.Registry.Served.Where(served => served.Expert == id).Select(served => new ServedExpertInfo(served.Name, served.Entry.Base!.Folder!, served.Since, served.Ungated, failures.GetValueOrDefault(served.Name)))];

    /// <summary>Serves an expert: a patch on a base or as part of a fusion, a model alone or as part of one.</summary>
    /// <exception cref="EngineException">UnknownUpload; InvalidValue: the entry is wrong, or a patch in it does not fit; NotEvaluated; DamagedExpert.</exception>
    public Task<ServedModel> ServeAsync(string id, ServeSettings settings)
    {
        ExpertRecord expert = store.Get(id);
        ServedModelEntry entry = settings.ToEntry(expert, () => DonorOf(id)
            ?? throw new EngineException(EngineError.InvalidValue, $"base is missing, and '{id}' is native to none of {Listing.Of(Bases)}; accepted is one of these.", "base"));
        return ServeAsync(id, entry, settings.Ungated, replaced: null);
    }

    /// <summary>Moves a served model of a patch to another base, for new requests; <see cref="RollBackAsync"/> moves it back.</summary>
    /// <exception cref="EngineException">As <see cref="ServeAsync(string, ServeSettings)"/>; UnknownModel: the patch is not served under that name.</exception>
    public Task<ServedModel> MoveAsync(string id, string name, string folder)
    {
        ServedRecord old = Served(id, name);
        return ServeAsync(id, old.Entry with { Base = new(folder) }, ungated: false, replaced: old);
    }

    /// <summary>Undoes the last port of a patch, the last that it passed if there is one: its record goes, what it moved is moved back, and what else is served on that base alone of it is retired.</summary>
    /// <returns>The port that is undone.</returns>
    /// <exception cref="EngineException">UnknownUpload; InvalidValue: there is no port to undo.</exception>
    public async Task<PortRecord> RollBackAsync(string id)
    {
        _ = Patch(id);
        PortRecord port = store.Registry.Ports.LastOrDefault(port => port.Expert == id && port.State != PatchState.Refused)
            ?? store.Registry.Ports.LastOrDefault(port => port.Expert == id)
            ?? throw new EngineException(EngineError.InvalidValue, $"'{id}' was not ported, so there is nothing to roll back.", "id");
        foreach (ServedRecord served in store.Registry.Served.Where(served => served.Expert == id && served.Entry.Base?.Folder == port.Base && !served.Ungated).ToArray())
        {
            if (served.Previous is { } previous)
            {
                RequireWeights(previous);
                await hot.ServeAsync(previous.Entry, replaces: true, _ => Keep(previous));
            }
            else
            {
                await RetireAsync(id, served.Name);
            }
        }

        store.Update(file => file with { Ports = [.. file.Ports.Where(other => other != port)] });
        return port;
    }

    /// <summary>Stops serving a name, or all of an expert's. Running requests keep what they have; what only they use is freed when the last has ended.</summary>
    /// <returns>The names.</returns>
    /// <exception cref="EngineException">UnknownUpload; UnknownModel: the expert is not served under that name.</exception>
    public async Task<IReadOnlyList<string>> RetireAsync(string id, string? name = null)
    {
        _ = store.Get(id);
        string[] names = name is null ? [.. store.Registry.Served.Where(served => served.Expert == id).Select(served => served.Name)] : [Served(id, name).Name];
        foreach (string each in names)
        {
            if (failures.TryRemove(each, out _))
            {
                Drop(each);
            }
            else
            {
                await hot.RetireAsync(each, () => Drop(each));
            }
        }

        return names;
    }

    /// <summary>Removes an expert that is not served.</summary>
    /// <exception cref="EngineException">UnknownUpload; Conflict, naming what serves it.</exception>
    public void Delete(string id)
    {
        _ = store.Get(id);
        if (store.Registry.Served.FirstOrDefault(served => Names(served.Entry).Contains(id)) is { } user)
        {
            throw new EngineException(EngineError.Conflict, $"'{id}' is served as '{user.Name}'; retire that first.", "id");
        }

        store.Remove(id);
        store.Update(file => file with { Ports = [.. file.Ports.Where(port => port.Expert != id)] });    }

    /// <summary>Keeps what came of a port, in the place of an earlier one of the patch to that base.</summary>
    public void Record(PortRecord port) =>
        store.Update(file => file with { Ports = [.. file.Ports.Where(other => (other.Expert, other.Base) != (port.Expert, port.Base)), port] });

    /// <summary>What is known of a patch on a base before it is evaluated: whether it fits, and how its update lies to what changed in the weights.</summary>
    /// <exception cref="EngineException">UnknownUpload; UnknownModel; InvalidValue: the expert is no patch.</exception>
    public PortRecord Examine(string id, string folder)
    {
        PatchFit fit = Fit(id, folder);
        return new(id, folder, fitting.WeightsOf(folder), fit.Misfit is null ? fit.State : PatchState.Refused, fit.Misfit ?? fit.Reason, DateTimeOffset.UtcNow)
        {
            Diagnostics = fit.Misfit is null ? fitting.Diagnose(Patch(id), folder) : null,
        };
    }

    /// <summary>The loaded model folder that a patch was trained on; null where there is none, or nothing tells.</summary>
    public string? DonorOf(string id) => fitting.Bases.FirstOrDefault(folder => Fit(id, folder).State == PatchState.Native);

    /// <summary>Serves a base, for operators alone, until what is returned is disposed; it is in no registry.</summary>
    /// <param name="id">The patch on it; null for none.</param>
    public async Task<(string Name, IAsyncDisposable Served)> ServeForEvaluationAsync(string? id, string folder)
    {
        string name = $"evaluation/{Guid.NewGuid():N}";
        await hot.ServeAsync(new() { Name = name, Base = new(folder), Patches = id is null ? null : [new() { Patch = id }], OperatorsOnly = true });
        return (name, new Evaluation(hot, name));
    }

    public void Dispose() => hot.Dispose();

    private async Task<ServedModel> ServeAsync(string id, ServedModelEntry entry, bool ungated, ServedRecord? replaced)
    {
        _ = store.Get(id);
        if (!Names(entry).Contains(id))
        {
            throw new EngineException(EngineError.InvalidValue, $"The entry does not name '{id}', which it is to serve; accepted is one with it as a patch or a model.", "entry");
        }

        RequireUnambiguous(entry);
        Dictionary<string, string> weights = [];
        return await hot.ServeAsync(entry, replaces: replaced is not null, model =>
        {
            // The folders are loaded by now, and nobody sees the model yet.
            foreach ((string patch, string folder) in PatchesOf(entry).Where(pair => store.Find(pair.Patch) is not null))
            {
                weights[folder] = RequireFit(Patch(patch), folder, ungated);
            }

            // So that what is wrong with a patch shows now, and the first request does not wait for it.
            _ = model.Plan(AskedFusion.Nothing).LoadPatches();
            Keep(new ServedRecord(id, entry, DateTimeOffset.UtcNow, weights, ungated) { Previous = replaced });
        });
    }

    private string RequireFit(ExpertRecord patch, string folder, bool ungated)
    {
        PatchFit fit = fitting.Of(patch, folder);
        return fit.Misfit is not null || (fit.State == PatchState.Refused && !ungated)
            ? throw new EngineException(EngineError.InvalidValue, $"The patch '{patch.Id}' is refused on '{folder}': {fit.Reason}", "base")
            : fit.MayServe || ungated
                ? fitting.WeightsOf(folder)
                : throw new EngineException(
                    EngineError.NotEvaluated, $"The patch '{patch.Id}' is not native to '{folder}' ({fit.Reason}); port it with a task that it has to pass, or serve it with ungated: true.", "ungated");
    }

    /// <summary>Folders may have come since the upload.</summary>
    private void RequireUnambiguous(ServedModelEntry entry)
    {
        foreach (string name in Names(entry).Where(name => store.Find(name) is not null))
        {
            RequireFree(name);
        }
    }

    private void RequireWeights(ServedRecord served)
    {
        foreach ((string folder, string hash) in served.Weights)
        {
            if (fitting.WeightsOf(folder) != hash)
            {
                throw new EngineException(EngineError.InvalidModelFolder, $"'{folder}' has other weights than when '{served.Name}' was served; serve it again.", "base");
            }
        }
    }

    private ExpertRecord Patch(string id) => store.Get(id) is { Kind: ExpertKind.Patch } patch
        ? patch
        : throw new EngineException(EngineError.InvalidValue, $"'{id}' is a model; accepted is a patch.", "id");

    private ServedRecord Served(string id, string name) => store.Registry.Served.FirstOrDefault(served => served.Expert == id && served.Name == name)
        ?? throw new EngineException(EngineError.UnknownModel, $"'{id}' is not served as '{name}'.", "name");

    private void Keep(ServedRecord served) => store.Update(file => file with { Served = [.. file.Served.Where(other => other.Name != served.Name), served] });

    private void Drop(string name) => store.Update(file => file with { Served = [.. file.Served.Where(served => served.Name != name)] });

    private static IEnumerable<(string Patch, string Folder)> PatchesOf(ServedModelEntry entry) =>
        (entry.Experts ?? []).Select(expert => (expert.Model, expert.Patches)).Prepend((Model: entry.Base?.Folder, entry.Patches))
            .SelectMany(stream => (stream.Patches ?? []).Select(patch => (patch.Patch ?? "", stream.Model ?? "")));

    private static IEnumerable<string> Names(ServedModelEntry entry) =>
    [
        .. PatchesOf(entry).Select(pair => pair.Patch),
        .. (entry.Experts ?? []).SelectMany(expert => new[] { expert.Model, expert.AntiExpert }).Append(entry.Base?.Folder).Append(entry.Amateur).OfType<string>(),
    ];

    private sealed class Evaluation(HotServing hot, string name) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync() => await hot.RetireAsync(name, () => { });
    }
}

/// <summary>One name under which an expert is served.</summary>
/// <param name="Base">Name of the model folder.</param>
/// <param name="Ungated">An operator wanted it without an evaluation.</param>
/// <param name="Failure">Why it could not be served again after a start; null where all is well.</param>
public sealed record ServedExpertInfo(string Name, string Base, DateTimeOffset Since, bool Ungated, string? Failure);
