using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;

namespace ProxyTune.Decoding.Serving;

/// <summary>
/// Serves and retires models while requests run. Loading and checking happen beside running requests; then a model becomes visible at once. A
/// retired model is freed when its last request has ended.
/// </summary>
/// <param name="scheduler">Runs the host's ensemble.</param>
internal sealed class HotServing(ModelHost host, DecodeScheduler scheduler) : IDisposable
{
    // Held while models are loaded or freed. Only what loads or frees others waits for it.
    private readonly SemaphoreSlim loadLock = new(1, 1);

    // Held while the names change, which is fast.
    private readonly SemaphoreSlim changeLock = new(1, 1);

    // Models that were served at run time and are still served or in use.
    private readonly List<ServedModel> alive = [];

    /// <summary>Loads what an entry needs, and serves it. Others that load or free models wait meanwhile, but not while uploads are hashed.</summary>
    /// <param name="replaces">Whether it may replace a model that was served at run time under its name. New requests then find the new model.</param>
    /// <param name="check">The caller's checks, which may take long. If it throws, nothing is served.</param>
    /// <param name="store">Stores the change, fast. Called after all checks, before any request sees the model. If it throws, nothing is served.</param>
    /// <exception cref="EngineException">InvalidValue: the entry is wrong, or its name is taken; InvalidModelFolder: a folder that it names is broken.</exception>
    public async Task<ServedModel> ServeAsync(ServedModelEntry entry, bool replaces = false, Action<ServedModel>? check = null, Action? store = null)
    {
        await ChangeAsync(() => Replaced(entry, replaces));
        await QuietThread.RunAsync(() => host.VerifyUploads(entry));
        await loadLock.WaitAsync();
        try
        {
            (ServedModel model, IReadOnlyList<LoadedModel> arrived) = await QuietThread.RunAsync(() => host.Build(entry));
            try
            {
                check?.Invoke(model);
                await ChangeAsync(() =>
                {
                    ServedModel? old = Replaced(entry, replaces);
                    store?.Invoke();
                    arrived.ToList().ForEach(host.Join);
                    alive.Add(model);
                    host.Publish(host.Served.With(model, old));
                    return old is null ? Task.CompletedTask : Free(old);
                });
                return model;
            }
            catch
            {
                arrived.ToList().ForEach(host.Discard);
                throw;
            }
        }
        finally
        {
            loadLock.Release();
        }
    }

    /// <summary>Stops serving a model: new requests do not find it.</summary>
    /// <param name="store">Stores the change. Called before any request sees it.</param>
    /// <returns>The inner task completes when the last request has ended and the memory that only this model used is freed.</returns>
    /// <exception cref="EngineException">UnknownModel: no model of that name was served at run time.</exception>
    public Task<Task> RetireAsync(string name, Action store) => ChangeAsync(() =>
    {
        ServedModel model = Find(name)
            ?? throw new EngineException(EngineError.UnknownModel, $"'{name}' was not served at run time; there are: {Listing.Of(host.Served.All.Intersect(alive).Select(other => other.Name))}.", "name");
        store();
        host.Publish(host.Served.Without(model));
        return Free(model);
    });

    public void Dispose()
    {
        loadLock.Dispose();
        changeLock.Dispose();
    }

    private async Task<T> ChangeAsync<T>(Func<T> change)
    {
        await changeLock.WaitAsync();
        try
        {
            return change();
        }
        finally
        {
            changeLock.Release();
        }
    }

    /// <summary>The model that an entry replaces; null for none.</summary>
    private ServedModel? Replaced(ServedModelEntry entry, bool replaces)
    {
        ServedModel? old = Find(entry.Name);
        return entry.Name is { } name && host.Served.Contains(name) && !(replaces && old is not null)
            ? throw new EngineException(EngineError.InvalidValue, $"'{name}' is served already; retire it first, or choose another name.", "name")
            : old;
    }

    /// <summary>The model of that name that was served at run time and is still served; null for none.</summary>
    private ServedModel? Find(string? name) => alive.Find(model => model.Name == name && host.Served.All.Contains(model));

    private Task Free(ServedModel model)
    {
        model.Uses.Close();
        return FreeAsync(model);
    }

    private async Task FreeAsync(ServedModel model)
    {
        await loadLock.WaitAsync();
        try
        {
            model.Streams.Select(stream => stream.Patch).OfType<ServedPatch>().ToList().ForEach(host.Forget);
        }
        finally
        {
            loadLock.Release();
        }

        await model.Uses.Free;
        await loadLock.WaitAsync();
        try
        {
            ServedModel[] others = await ChangeAsync(() =>
            {
                alive.Remove(model);
                return alive.ToArray();
            });
            foreach (LoadedModel member in model.Streams.Select(stream => stream.Member).Distinct().Where(host.HasArrived))
            {
                if (!others.Any(other => other.Streams.Any(stream => stream.Member == member)))
                {
                    host.Leave(member);
                }
            }

            scheduler.EndIdleLoops();
        }
        finally
        {
            loadLock.Release();
        }
    }
}
