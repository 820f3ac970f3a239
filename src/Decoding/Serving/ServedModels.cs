using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Serving;

/// <summary>The models that are served at one moment, by name. Immutable.</summary>
public sealed class ServedModels
{
    private readonly Dictionary<string, ServedModel> byName;

    internal ServedModels(IReadOnlyList<ServedModel> all)
    {
        All = all;
        byName = all.ToDictionary(model => model.Name);
    }

    /// <summary>In the order of the catalogue, then in the order in which they were added.</summary>
    public IReadOnlyList<ServedModel> All { get; }

    /// <summary>What a caller of that role may see.</summary>
    public ServedModels VisibleTo(CallerRole role) => role == CallerRole.Operator ? this : ForClients;

    public bool Contains(string name) => byName.ContainsKey(name);

    /// <exception cref="EngineException">UnknownModel; the message lists the names that are served.</exception>
    public ServedModel Get(string name) => byName.TryGetValue(name, out ServedModel? model)
        ? model
        : throw new EngineException(EngineError.UnknownModel, $"There is no model '{name}'; there are: {Listing.Of(All.Select(other => other.Name))}.", "model");

    private ServedModels ForClients => field ??= All.Any(model => model.IsForOperators) ? new([.. All.Where(model => !model.IsForOperators)]) : this;

    /// <param name="old">The model that it replaces; null for none.</param>
    internal ServedModels With(ServedModel model, ServedModel? old = null) => new([.. All.Where(other => other != old), model]);

    internal ServedModels Without(ServedModel model) => new([.. All.Where(other => other != model)]);
}

/// <summary>Counts the users of something that may be freed at run time. It is free when it was closed and its last user has ended. Thread-safe.</summary>
internal sealed class UseCount
{
    private readonly TaskCompletionSource free = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Being open counts as one use.
    private int count = 1;
    private int closed;

    /// <summary>Completes when it is closed and has no users.</summary>
    public Task Free => free.Task;

    /// <returns>The user disposes it at its end; null if it is free already.</returns>
    public IDisposable? TryUse()
    {
        int seen = Volatile.Read(ref count);
        while (seen > 0)
        {
            int now = Interlocked.CompareExchange(ref count, seen + 1, seen);
            if (now == seen)
            {
                return new Use(this);
            }

            seen = now;
        }

        return null;
    }

    public void Close()
    {
        if (Interlocked.Exchange(ref closed, 1) == 0)
        {
            Leave();
        }
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref count) == 0)
        {
            free.SetResult();
        }
    }

    private sealed class Use(UseCount owner) : IDisposable
    {
        private UseCount? left = owner;

        public void Dispose() => Interlocked.Exchange(ref left, null)?.Leave();
    }
}
