using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Generation;

namespace ProxyTune.Decoding.Serving;

/// <summary>
/// Changes what a catalog serves while requests run. Everything is loaded and checked beside them, and becomes visible at once; what is retired
/// is freed when its last request has ended.
/// </summary>
/// <param name="scheduler">That runs the catalog's ensemble.</param>
internal sealed class HotServing(ModelCatalog catalog, DecodeScheduler scheduler) : IDisposable
{
    private readonly SemaphoreSlim turn = new(1, 1);

    // Served, or retired and still in use.
    private readonly List<ServedModel> alive = [];

    /// <summary>Loads what an entry needs, and serves it.</summary>
    /// <param name="replaces">Whether it takes the place of what was served at run time under its name, at once and for new requests.</param>
    /// <param name="keep">Called when all is well, before anybody sees the model; its failure is the whole's.</param>
    /// <exception cref="EngineException">InvalidValue: the entry is wrong, or its name is taken; InvalidModelFolder: what it names is.</exception>
    public async Task<ServedModel> ServeAsync(ServedModelEntry entry, bool replaces = false, Action<ServedModel>? keep = null)
    {
        await turn.WaitAsync();
        try
        {
            ServedModel? old = Find(entry.Name);
            if (entry.Name is { } name && catalog.Served.Contains(name) && !(replaces && old is not null))
            {
                throw new EngineException(EngineError.InvalidValue, $"'{name}' is served already; retire it first, or choose another name.", "name");
            }

            (ServedModel model, IReadOnlyList<CatalogMember> arrived) = await QuietThread.RunAsync(() => catalog.Build(entry));
            try
            {
                keep?.Invoke(model);
            }
            catch
            {
                arrived.ToList().ForEach(catalog.Discard);
                throw;
            }

            foreach (CatalogMember member in arrived)
            {
                await scheduler.ChangeAsync(() => catalog.Join(member));
            }

            alive.Add(model);
            catalog.Publish(catalog.Served.With(model, old));
            if (old is not null)
            {
                _ = Free(old);
            }

            return model;
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>No new request finds the model from now on.</summary>
    /// <param name="keep">Called before anybody sees it.</param>
    /// <returns>Completes when the last request has ended and what only this model used is freed.</returns>
    /// <exception cref="EngineException">UnknownModel: nothing of that name was served at run time.</exception>
    public async Task<Task> RetireAsync(string name, Action keep)
    {
        await turn.WaitAsync();
        try
        {
            ServedModel model = Find(name)
                ?? throw new EngineException(EngineError.UnknownModel, $"'{name}' was not served at run time; there are: {Listing.Of(catalog.Served.All.Intersect(alive).Select(other => other.Name))}.", "name");
            keep();
            catalog.Publish(catalog.Served.Without(model));
            return Free(model);
        }
        finally
        {
            turn.Release();
        }
    }

    public void Dispose() => turn.Dispose();

    /// <summary>What was served at run time under that name, and is.</summary>
    private ServedModel? Find(string? name) => alive.Find(model => model.Name == name && catalog.Served.All.Contains(model));

    private Task Free(ServedModel model)
    {
        foreach (ServedPatch patch in model.Streams.Select(stream => stream.Patch).OfType<ServedPatch>())
        {
            catalog.Forget(patch);
        }

        model.Uses.Close();
        return FreeAsync(model);
    }

    private async Task FreeAsync(ServedModel model)
    {
        await model.Uses.Free;
        await turn.WaitAsync();
        try
        {
            alive.Remove(model);
            IEnumerable<CatalogMember> members = model.Streams.Select(stream => stream.Member).Distinct();
            foreach (CatalogMember member in members.Where(member => catalog.HasArrived(member) && !alive.Any(other => other.Streams.Any(stream => stream.Member == member))))
            {
                await scheduler.ChangeAsync(() => catalog.Leave(member));
            }
        }
        finally
        {
            turn.Release();
        }
    }
}
