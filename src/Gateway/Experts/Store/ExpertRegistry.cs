using System.Collections.Concurrent;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Serving;

namespace ProxyTune.Gateway.Experts;

/// <summary>
/// Uploaded experts and the names under which they are served; the only writer of both. A change is on the disk before any request sees it, and
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

    /// <summary>Names that were served when the server stopped and cannot be served now, with the reason.</summary>
    public IReadOnlyDictionary<string, string> Failures => failures;

    /// <summary>Names of the loaded model folders, which patches can be added to.</summary>
    public IEnumerable<string> Bases => fitting.Bases;

    /// <summary>Serves the same names as before the last stop. A name that cannot be served any more is in <see cref="Failures"/> and does not affect the others.</summary>
    /// <param name="host">Must be loaded with the store's <see cref="StoredUploads"/>.</param>
    /// <param name="scheduler">Runs the host's ensemble.</param>
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

    /// <summary>Refuses an id that is the name of a model or patch in the models folder: a name in an entry must have one meaning.</summary>
    /// <exception cref="EngineException">Conflict.</exception>
    public void RequireFree(string id)
    {
        if (ExpertId.IsValid(id) && host.Owns(id))
        {
            throw new EngineException(EngineError.Conflict, $"id is '{id}', which is a model or a patch of the models folder; take another.", "id");
        }
    }

    /// <summary>State of a patch on a base.</summary>
    /// <exception cref="EngineException">UnknownUpload; UnknownModel; InvalidValue: the expert is no patch.</exception>
    public PatchFit Fit(string id, string folder) => fitting.Of(Patch(id), folder);

    /// <summary>State of a patch on every base; empty for a model.</summary>
    /// <exception cref="EngineException">UnknownUpload.</exception>
    public IReadOnlyList<PatchFit> Fits(string id) =>
        store.Get(id) is { Kind: ExpertKind.Patch } patch ? [.. fitting.Bases.Select(folder => fitting.Of(patch, folder))] : [];

    /// <exception cref="EngineException">UnknownModel: the expert is not served under that name.</exception>
    public void RequireServed(string id, string name) => Served(id, name);

    /// <summary>The names under which an expert is served.</summary>
    public IReadOnlyList<ServedExpertInfo> ServedOf(string id) =>
        [.. store.Registry.Served.Where(served => served.Expert == id).Select(served => new ServedExpertInfo(served.Name, served.Entry.Base!.Folder!, served.Since, served.Ungated, failures.GetValueOrDefault(served.Name)))];

    /// <summary>Serves an expert: a patch on a base, a model alone, or either as part of a fusion.</summary>
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

    /// <summary>
    /// Undoes the last port that a patch passed, or its last port if it passed none. Its record is deleted, the name that it moved is moved back, and the
    /// patch's other names on that base are retired unless they are <see cref="ServeSettings.Ungated"/>.
    /// </summary>
    /// <returns>The port that was undone.</returns>
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
                await hot.ServeAsync(previous.Entry, replaces: true, store: () => Add(previous));
            }
            else
            {
                await RetireAsync(id, served.Name);
            }
        }

        store.Update(file => file with { Ports = [.. file.Ports.Where(other => other != port)] });
        return port;
    }

    /// <summary>Stops serving one name of an expert, or all of them. Running requests are not affected; memory that only they use is freed when the last one has ended.</summary>
    /// <returns>The retired names.</returns>
    /// <exception cref="EngineException">UnknownUpload; UnknownModel: the expert is not served under that name.</exception>
    public async Task<IReadOnlyList<string>> RetireAsync(string id, string? name = null)
    {
        _ = store.Get(id);
        string[] names = name is null ? [.. store.Registry.Served.Where(served => served.Expert == id).Select(served => served.Name)] : [Served(id, name).Name];
        foreach (string each in names)
        {
            if (failures.TryRemove(each, out _))
            {
                Remove(each);
            }
            else
            {
                await hot.RetireAsync(each, () => Remove(each));
            }
        }

        return names;
    }

    /// <summary>Removes an expert that is not served.</summary>
    /// <exception cref="EngineException">UnknownUpload; Conflict, with a name under which the expert is served.</exception>
    public void Delete(string id)
    {
        _ = store.Get(id);
        store.Update(file => file.Served.FirstOrDefault(served => Names(served.Entry).Contains(id)) is { } user
            ? throw new EngineException(EngineError.Conflict, $"'{id}' is served as '{user.Name}'; retire that first.", "id")
            : file.Without(id) with { Ports = [.. file.Ports.Where(port => port.Expert != id)] });
    }

    /// <summary>Stores the result of a port. It replaces an earlier result of the same patch on the same base. Nothing is stored if the patch was deleted meanwhile.</summary>
    public void Record(PortRecord port) =>
        store.Update(file => file.Experts.Any(expert => expert.Id == port.Expert)
            ? file with { Ports = [.. file.Ports.Where(other => (other.Expert, other.Base) != (port.Expert, port.Base)), port] }
            : file);

    /// <summary>What is known about a patch on a base before an evaluation: whether it fits, and how its update compares with the weights.</summary>
    /// <exception cref="EngineException">UnknownUpload; UnknownModel; InvalidValue: the expert is no patch.</exception>
    public PortRecord Examine(string id, string folder)
    {
        PatchFit fit = Fit(id, folder);
        return new(id, folder, fitting.WeightsOf(folder), fit.Misfit is null ? fit.State : PatchState.Refused, fit.Misfit ?? fit.Reason, DateTimeOffset.UtcNow)
        {
            Diagnostics = fit.Misfit is null ? fitting.Diagnose(Patch(id), folder) : null,
        };
    }

    /// <summary>The loaded model folder that a patch was trained on; null if it is not loaded or not known.</summary>
    public string? DonorOf(string id) => fitting.Bases.FirstOrDefault(folder => Fit(id, folder).State == PatchState.Native);

    /// <summary>Serves a base to operators only, until the result is disposed. The registry does not store it.</summary>
    /// <param name="id">The patch on the base; null for none.</param>
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
        CatalogCheck.Entries(EntrySource.Request, [entry]);
        if (!Names(entry).Contains(id))
        {
            throw new EngineException(EngineError.InvalidValue, $"The entry does not name '{id}', which it is to serve; accepted is one with it as a patch or a model.", "entry");
        }

        RequireUnambiguous(entry);
        ExpertRecord[] uploads = [.. Names(entry).Select(store.Find).OfType<ExpertRecord>().Distinct()];
        Dictionary<string, string> weights = [];
        await QuietThread.RunAsync(() => fitting.ReadLineages(PatchesOf(entry).Select(pair => pair.Folder)));
        try
        {
            return await hot.ServeAsync(
                entry,
                replaces: replaced is not null,
                model =>
                {
                    // The folders are loaded by now, and no request sees the model yet.
                    foreach ((string patch, string folder) in PatchesOf(entry).Where(pair => store.Find(pair.Patch) is not null))
                    {
                        weights[folder] = RequireFit(Patch(patch), folder, ungated);
                    }

                    // Loads the patches now: their errors reach the operator, and the first request need not wait.
                    _ = model.Plan(AskedFusion.Nothing).LoadPatches();
                },
                () => Add(new ServedRecord(id, entry, DateTimeOffset.UtcNow, weights, ungated) { Previous = replaced }, uploads));
        }
        catch (IOException error) when (uploads.FirstOrDefault(upload => !store.Has(upload)) is { } gone)
        {
            throw ExpertStore.Deleted(gone, error);
        }
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

    /// <summary>Folders may have been added to the models folder since the upload.</summary>
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

    /// <param name="uploads">The uploads that it names. One may have been deleted since they were read.</param>
    private void Add(ServedRecord served, params ExpertRecord[] uploads) => store.Update(file => uploads.FirstOrDefault(upload => !file.Experts.Any(expert => (expert.Id, expert.Content) == (upload.Id, upload.Content))) is { } gone
        ? throw ExpertStore.Deleted(gone)
        : file with { Served = [.. file.Served.Where(other => other.Name != served.Name), served] });

    private void Remove(string name) => store.Update(file => file with { Served = [.. file.Served.Where(served => served.Name != name)] });

    private static IEnumerable<(string Patch, string Folder)> PatchesOf(ServedModelEntry entry) =>
        (entry.Experts ?? []).Select(expert => (expert.Model, expert.Patches)).Prepend((Model: entry.Base?.Folder, entry.Patches))
            .SelectMany(stream => (stream.Patches ?? []).Select(patch => (patch.Patch ?? "", stream.Model ?? "")));

    private static IEnumerable<string> Names(ServedModelEntry entry) =>
    [
        .. PatchesOf(entry).Select(pair => pair.Patch),
        .. entry.Folders,
    ];

    private sealed class Evaluation(HotServing hot, string name) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync() => await hot.RetireAsync(name, () => { });
    }
}

/// <summary>One name under which an expert is served.</summary>
/// <param name="Base">Name of the model folder.</param>
/// <param name="Ungated">Whether an operator wanted it served without an evaluation.</param>
/// <param name="Failure">Why it could not be served again after a restart; null if it is served.</param>
public sealed record ServedExpertInfo(string Name, string Base, DateTimeOffset Since, bool Ungated, string? Failure);
