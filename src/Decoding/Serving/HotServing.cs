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
    private readonly SemaphoreSlim changeLock = new(1, 1);

    // Models that were served at run time and are still served or in use.
    private readonly List<ServedModel> alive = [];

    /// <summary>Loads what an entry needs, and serves it.</summary>
    /// <param name="replaces">Whether it may replace a model that was served at run time under its name. New requests then find the new model.</param>
    /// <param name="store">Stores the change. Called after all checks, before any request sees the model. If it throws, nothing is served.</param>
    /// <exception cref="EngineException">InvalidValue: the entry is wrong, or its name is taken; InvalidModelFolder: a folder that it names is broken.</exception>
    public async Task<ServedModel> ServeAsync(ServedModelEntry entry, bool replaces = false, Action<ServedModel>? store = null)
    {
        await changeLock.WaitAsync();
        try
        {
            ServedModel? old = Find(entry.Name);
            if (entry.Name is { } name && host.Served.Contains(name) && !(replaces && old is not null))
            {
                throw new EngineException(EngineError.InvalidValue, $"'{name}' is served already; retire it first, or choose another name.", "name");
            }

            (ServedModel model, IReadOnlyList<LoadedModel> arrived) = await QuietThread.RunAsync(() => host.Build(entry));
            try
            {
                store?.Invoke(model);
            }
            catch
            {
                arrived.ToList().ForEach(host.Discard);
                throw;
            }

            arrived.ToList().ForEach(host.Join);

            alive.Add(model);
            host.Publish(host.Served.With(model, old));
            if (old is not null)
            {
                _ = Free(old);
            }

            return model;
        }
        finally
        {
            changeLock.Release();
        }
    }

    /// <summary>Stops serving a model: new requests do not find it.</summary>
    /// <param name="store">Stores the change. Called before any request sees it.</param>
    /// <returns>The inner task completes when the last request has ended and the memory that only this model used is freed.</returns>
    /// <exception cref="EngineException">UnknownModel: no model of that name was served at run time.</exception>
    public async Task<Task> RetireAsync(string name, Action store)
    {
        await changeLock.WaitAsync();
        try
        {
            ServedModel model = Find(name)
                ?? throw new EngineException(EngineError.UnknownModel, $"'{name}' was not served at run time; there are: {Listing.Of(host.Served.All.Intersect(alive).Select(other => other.Name))}.", "name");
            store();
            host.Publish(host.Served.Without(model));
            return Free(model);
        }
        finally
        {
            changeLock.Release();
        }
    }

    public void Dispose() => changeLock.Dispose();

    /// <summary>The model of that name that was served at run time and is still served; null for none.</summary>
    private ServedModel? Find(string? name) => alive.Find(model => model.Name == name && host.Served.All.Contains(model));

    private Task Free(ServedModel model)
    {
        foreach (ServedPatch patch in model.Streams.Select(stream => stream.Patch).OfType<ServedPatch>())
        {
            host.Forget(patch);
        }

        model.Uses.Close();
        return FreeAsync(model);
    }

    private async Task FreeAsync(ServedModel model)
    {
        await model.Uses.Free;
        await changeLock.WaitAsync();
        try
        {
            alive.Remove(model);
            IEnumerable<LoadedModel> members = model.Streams.Select(stream => stream.Member).Distinct();
            foreach (LoadedModel member in members.Where(member => host.HasArrived(member) && !alive.Any(other => other.Streams.Any(stream => stream.Member == member))))
            {
                host.Leave(member);
            }

            scheduler.EndIdleLoops();
        }
        finally
        {
            changeLock.Release();
        }
    }
}
