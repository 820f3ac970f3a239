using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;

namespace ProxyTune.Decoding.Serving;

/// <summary>
/// Changes what a catalog serves while requests run. Everything is loaded and checked beside them, and becomes visible at once; what is retired
/// is freed when its last request has ended.
/// </summary>
/// <param name="scheduler">That runs the catalog's ensemble.</param>
internal sealed class HotServing(ModelHost host, DecodeScheduler scheduler) : IDisposable
{
    private readonly SemaphoreSlim changeLock = new(1, 1);

    // Served, or retired and still in use.
    private readonly List<ServedModel> alive = [];

    /// <summary>Loads what an entry needs, and serves it.</summary>
    /// <param name="replaces">Whether it takes the place of what was served at run time under its name, at once and for new requests.</param>
    /// <param name="keep">Called when all is well, before anybody sees the model; its failure is the whole's.</param>
    /// <exception cref="EngineException">InvalidValue: the entry is wrong, or its name is taken; InvalidModelFolder: what it names is.</exception>
    public async Task<ServedModel> ServeAsync(ServedModelEntry entry, bool replaces = false, Action<ServedModel>? keep = null)
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
                keep?.Invoke(model);
            }
            catch
            {
                arrived.ToList().ForEach(host.Discard);
                throw;
            }

            foreach (LoadedModel member in arrived)
            {
                await scheduler.ChangeAsync(() => host.Join(member));
            }

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

    /// <summary>No new request finds the model from now on.</summary>
    /// <param name="keep">Called before anybody sees it.</param>
    /// <returns>Completes when the last request has ended and what only this model used is freed.</returns>
    /// <exception cref="EngineException">UnknownModel: nothing of that name was served at run time.</exception>
    public async Task<Task> RetireAsync(string name, Action keep)
    {
        await changeLock.WaitAsync();
        try
        {
            ServedModel model = Find(name)
                ?? throw new EngineException(EngineError.UnknownModel, $"'{name}' was not served at run time; there are: {Listing.Of(host.Served.All.Intersect(alive).Select(other => other.Name))}.", "name");
            keep();
            host.Publish(host.Served.Without(model));
            return Free(model);
        }
        finally
        {
            changeLock.Release();
        }
    }

    public void Dispose() => changeLock.Dispose();

    /// <summary>What was served at run time under that name, and is.</summary>
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
                await scheduler.ChangeAsync(() => host.Leave(member));
            }
        }
        finally
        {
            changeLock.Release();
        }
    }
}
