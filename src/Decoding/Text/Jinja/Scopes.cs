namespace ProxyTune.Decoding.Text;

/// <summary>Where a variable stands: how many frames further out, and its place there.</summary>
internal readonly record struct Slot(int Hops, int Index);

/// <summary>What a variable is when its frame is entered.</summary>
internal enum LoadKind
{
    /// <summary>Set by whoever enters the frame.</summary>
    Parameter,

    /// <summary>Looked up among the variables of the rendering.</summary>
    Resolve,

    /// <summary>The value of a variable further out.</summary>
    Alias,

    Missing,
}

internal readonly record struct Load(LoadKind Kind, string Name, int Index, Slot Outer);

/// <summary>
/// The variables of one frame. Jinja decides when it compiles a template which frame each name belongs to, and a rendering depends on it: a name that
/// a loop's body sets is the loop's own, starts each round with the outer value, and is gone behind the loop; a name that the template sets somewhere
/// is not looked up outside even before that.
/// </summary>
/// <remarks>The rules are those of jinja2/idtracking.py.</remarks>
internal sealed class Symbols(Symbols? parent)
{
    private readonly Dictionary<string, int> indices = [];
    private Dictionary<string, Load> loads = [];
    private HashSet<string> stores = [];

    private Symbols(Symbols? parent, Symbols original)
        : this(parent)
    {
        indices = original.indices;
        loads = new(original.loads);
        stores = [.. original.stores];
    }

    public int Count => indices.Count;

    public IEnumerable<Load> Loads => loads.Values;

    /// <summary>Names that are set in this frame or further out, and where the frame finds them.</summary>
    public Dictionary<string, Slot> Stored()
    {
        Dictionary<string, Slot> stored = [];
        for (Symbols? at = this; at is not null; at = at.Parent)
        {
            foreach (string name in at.stores)
            {
                stored.TryAdd(name, Find(name)!.Value);
            }
        }

        return stored;
    }

    private Symbols? Parent => parent;

    public Slot? Find(string name)
    {
        int hops = 0;
        for (Symbols? at = this; at is not null; at = at.Parent, hops++)
        {
            if (at.loads.TryGetValue(name, out Load load))
            {
                return new Slot(hops, load.Index);
            }
        }

        return null;
    }

    /// <summary>Whether a name is always given a value by whoever enters its frame.</summary>
    public bool IsParameter(string name) => loads.TryGetValue(name, out Load load) ? load.Kind == LoadKind.Parameter : parent?.IsParameter(name) ?? false;

    /// <exception cref="TemplateException">No frame knows the name; Jinja's compiler fails too.</exception>
    public Slot Reference(string name) => Find(name) ?? throw new TemplateException(TemplateFault.Syntax, $"the name '{name}' cannot be used here");

    public void Store(string name)
    {
        stores.Add(name);
        if (!loads.ContainsKey(name))
        {
            Define(name, parent?.Find(name) is { } outer ? LoadKind.Alias : LoadKind.Missing, parent?.Find(name));
        }
    }

    public void Parameter(string name)
    {
        stores.Add(name);
        Define(name, LoadKind.Parameter);
    }

    public void Load(string name)
    {
        if (Find(name) is null)
        {
            Define(name, LoadKind.Resolve);
        }
    }

    /// <summary>Looks at the branches of an if: what only some of them set has the outer value otherwise.</summary>
    public void Branch(params IReadOnlyList<Action<Symbols>> branches)
    {
        Symbols[] copies = [.. branches.Select(_ => new Symbols(parent, this))];
        for (int i = 0; i < copies.Length; i++)
        {
            branches[i](copies[i]);
        }

        HashSet<string> set = [.. copies.SelectMany(copy => copy.stores).Except(stores)];
        foreach (Symbols copy in copies)
        {
            foreach ((string name, Load load) in copy.loads)
            {
                loads[name] = load;
            }

            stores.UnionWith(copy.stores);
        }

        foreach (string name in set)
        {
            Define(name, parent?.Find(name) is { } outer ? LoadKind.Alias : LoadKind.Resolve, parent?.Find(name));
        }
    }

    private void Define(string name, LoadKind kind, Slot? outer = null)
    {
        if (!indices.TryGetValue(name, out int index))
        {
            indices[name] = index = indices.Count;
        }

        loads[name] = new(kind, name, index, outer ?? default);
    }
}

/// <summary>The variables of one frame: the template, the body of a loop, a macro's call.</summary>
internal sealed class Scope(Rendering rendering, Scope? parent, Symbols symbols)
{
    private readonly object?[] slots = new object?[symbols.Count];

    public Rendering Rendering => rendering;

    public Scope? Parent => parent;

    public ref object? this[Slot slot]
    {
        get
        {
            Scope scope = this;
            for (int hops = slot.Hops; hops > 0; hops--)
            {
                scope = scope.Parent!;
            }

            return ref scope.slots[slot.Index];
        }
    }

    /// <summary>Gives each variable the value that it has outside.</summary>
    public void Enter()
    {
        foreach (Load load in symbols.Loads)
        {
            slots[load.Index] = load.Kind switch
            {
                LoadKind.Resolve => rendering.Find(load.Name),
                LoadKind.Alias => parent![load.Outer],
                LoadKind.Missing => null,
                _ => slots[load.Index],
            };
        }
    }

    public void Leave() => Array.Clear(slots);
}
