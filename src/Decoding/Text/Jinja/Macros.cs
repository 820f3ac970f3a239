namespace ProxyTune.Decoding.Text;

/// <summary>The parameters and body of a macro or a call block.</summary>
internal sealed class MacroBody(List<string> parameters, List<Expression> defaults, List<Statement> body, int line)
{
    private readonly List<Expression> targets = [.. parameters.Select(name => new Name(name).AsTarget(isParameter: true)!)];
    private Symbols? symbols;
    private Slot? caller, named, rest;

    public IReadOnlyList<string> Parameters => parameters;

    public List<Expression> Defaults => defaults;

    public bool TakesCaller => caller is not null;

    public bool TakesNamed => named is not null;

    public bool TakesRest => rest is not null;

    public void Resolve(Frame frame)
    {
        symbols = new(frame.Symbols);
        Analyze();
        HashSet<string> undeclared = Statement.Undeclared(body, "caller", "kwargs", "varargs");
        bool hasCaller = parameters.Contains("caller");
        if (undeclared.Contains("caller") && hasCaller && parameters.Count - parameters.IndexOf("caller") > defaults.Count)
        {
            throw TemplateException.Syntax("the special argument \"caller\" must be omitted or be given a default", line);
        }

        caller = undeclared.Contains("caller") ? Special("caller") : null;
        named = undeclared.Contains("kwargs") && !parameters.Contains("kwargs") ? Special("kwargs") : null;
        rest = undeclared.Contains("varargs") && !parameters.Contains("varargs") ? Special("varargs") : null;
        Analyze();
        Frame inner = frame.Inner(symbols) with { InLoop = false };
        targets.ForEach(target => target.Resolve(symbols, isChecked: true));
        defaults.ForEach(value => value.Resolve(symbols, isChecked: true));
        Statements.Resolve(body, inner);
        if (parameters.Distinct().Count() < parameters.Count)
        {
            throw TemplateException.Syntax("duplicate argument in macro definition", line);
        }
    }

    public void Visit(NameVisitor visitor)
    {
        targets.ForEach(target => target.Visit(visitor));
        defaults.ForEach(value => value.Visit(visitor));
        Statements.Visit(body, visitor);
    }

    /// <param name="values">Of the parameters; null for one that is not given.</param>
    public string Run(Scope outer, object?[] values, object? given, DictValue extra, TupleValue surplus)
    {
        Rendering rendering = outer.Rendering;
        rendering.Enter();
        Scope scope = new(rendering, outer, symbols!);
        scope.Enter();
        for (int i = 0; i < values.Length; i++)
        {
            targets[i].Assign(scope, values[i] ?? new Undefined($"parameter '{parameters[i]}' was not provided"));
        }

        Give(caller is { } slot && !parameters.Contains("caller") ? slot : null, given);
        Give(named, extra);
        Give(rest, surplus);
        for (int i = 0; i < values.Length; i++)
        {
            int at = i - parameters.Count + defaults.Count;
            if (values[i] is null && at >= 0)
            {
                targets[i].Assign(scope, defaults[at].Evaluate(scope));
            }
        }

        string text = rendering.Capture(() => Statements.Run(body, scope)) ?? "";
        rendering.Leave();
        return text;

        void Give(Slot? place, object? value)
        {
            if (place is { } slot)
            {
                scope[slot] = value;
            }
        }
    }

    private Slot Special(string name)
    {
        if (!parameters.Contains(name))
        {
            symbols!.Parameter(name);
        }

        return symbols!.Reference(name);
    }

    private void Analyze()
    {
        targets.ForEach(target => target.Analyze(symbols!));
        defaults.ForEach(value => value.Analyze(symbols!));
        Statements.Analyze(body, symbols!);
    }
}

/// <summary>{% macro name(a, b=1) %}...{% endmacro %}.</summary>
internal sealed class MacroStatement(string name, MacroBody body) : Statement
{
    private Slot slot;
    private bool isExported;

    public override Flow Execute(Scope scope)
    {
        scope.Rendering.Build(64);
        Macro macro = new(name, body, scope);
        scope[slot] = macro;
        if (isExported)
        {
            scope.Rendering.Exported[name] = macro;
        }

        return Flow.Next;
    }

    public override void Analyze(Symbols symbols) => symbols.Store(name);

    public override void Resolve(Frame frame)
    {
        body.Resolve(frame);
        slot = frame.Symbols.Reference(name);
        isExported = frame.IsTop;
    }

    public override void Visit(NameVisitor visitor) => body.Visit(visitor);
}

/// <summary>{% call(a) f() %}...{% endcall %}, and {% generation %}, which calls its own body.</summary>
/// <param name="call">Null for a generation block.</param>
internal sealed class CallBlock(CallExpression? call, MacroBody body) : Statement
{
    public override Flow Execute(Scope scope)
    {
        Macro caller = new(null, body, scope);
        object value = call?.Call(scope, caller) ?? caller.Call(scope.Rendering, Arguments.None);
        scope.Rendering.Write(Operators.AsText(value) ?? throw TemplateException.Failed($"a call block gives a {Printing.TypeName(value)}, not a text"));
        return Flow.Next;
    }

    public override void Analyze(Symbols symbols) => call?.Analyze(symbols);

    public override void Resolve(Frame frame)
    {
        body.Resolve(frame);
        call?.Resolve(frame.Symbols, frame.IsChecked);
    }

    public override void Visit(NameVisitor visitor)
    {
        call?.Visit(visitor);
        body.Visit(visitor);
    }
}

/// <summary>A macro that a template has defined, with the variables around it.</summary>
internal sealed class Macro(string? name, MacroBody body, Scope scope) : ICallable
{
    public string? Name => name;

    public object Call(Rendering rendering, Arguments arguments)
    {
        int count = body.Parameters.Count;
        object?[] values = new object?[count];
        List<KeyValuePair<string, object>> named = [.. arguments.Named];
        bool hasCaller = false;
        for (int i = 0; i < count; i++)
        {
            values[i] = i < arguments.Positional.Count ? arguments.Positional[i] : Take(body.Parameters[i]);
            hasCaller |= body.Parameters[i] == "caller";
        }

        object? caller = body.TakesCaller && !hasCaller ? Take("caller") is { } given and not NoneValue ? given : new Undefined("No caller defined") : null;
        if (named.Count > 0 && !body.TakesNamed)
        {
            throw TemplateException.Failed($"macro '{name}' takes no keyword argument '{named[0].Key}'");
        }

        if (arguments.Positional.Count > count && !body.TakesRest)
        {
            throw TemplateException.Failed($"macro '{name}' takes not more than {count} argument(s)");
        }

        DictValue extra = new();
        named.ForEach(pair => extra.Set(pair.Key, pair.Value));
        string text = body.Run(scope, values, caller, extra, new([.. arguments.Positional.Skip(count)]));
        return rendering.Escapes ? new Markup(text) : text;

        object? Take(string parameter)
        {
            int at = named.FindIndex(pair => pair.Key == parameter);
            object? value = at < 0 ? null : named[at].Value;
            if (at >= 0)
            {
                named.RemoveAt(at);
            }

            return value;
        }
    }

    public object? Find(string attribute) => attribute switch
    {
        "name" => name is null ? NoneValue.Value : name,
        "arguments" => new TupleValue([.. body.Parameters]),
        "catch_kwargs" => body.TakesNamed,
        "catch_varargs" => body.TakesRest,
        "caller" => body.TakesCaller,
        "explicit_caller" => body.Parameters.Contains("caller"),
        _ => null,
    };
}

/// <summary>{% block name %}...{% endblock %}: shown where it stands, and by self.name().</summary>
internal sealed class BlockStatement(string name, bool isScoped, bool isRequired, List<Statement> body, bool? escapes) : Statement
{
    private readonly Symbols inner = new(null);
    private Dictionary<string, Slot> stored = [];

    public string Name => name;

    public bool IsScoped => isScoped;

    public override Flow Execute(Scope scope)
    {
        if (isRequired)
        {
            throw TemplateException.Failed($"Required block '{name}' not found");
        }

        Rendering rendering = scope.Rendering;
        Dictionary<string, object?> before = [];
        foreach ((string variable, Slot slot) in stored)
        {
            if (scope[slot] is { } value)
            {
                before[variable] = rendering.Exported.GetValueOrDefault(variable);
                rendering.Exported[variable] = value;
            }
        }

        RunAlone(rendering);
        foreach ((string variable, object? value) in before)
        {
            _ = value is null ? rendering.Exported.Remove(variable) : rendering.Exported.TryAdd(variable, value) || (rendering.Exported[variable] = value) is null;
        }

        return Flow.Next;
    }

    /// <summary>The text of the block, for self.name().</summary>
    public object Text(Rendering rendering)
    {
        string text = rendering.Capture(() =>
        {
            RunAlone(rendering);
            return Flow.Next;
        })!;
        return escapes ?? rendering.Escapes ? new Markup(text) : text;
    }

    public override void Analyze(Symbols symbols)
    {
    }

    public override void Resolve(Frame frame) => stored = isScoped ? frame.Symbols.Stored() : [];

    /// <summary>Resolves the body, which sees none of the variables around the block.</summary>
    public void ResolveBody()
    {
        foreach (string special in Undeclared(body, "self", "super"))
        {
            inner.Parameter(special);
        }

        Statements.Analyze(body, inner);
        Statements.Resolve(body, new(inner, true, false, false));
    }

    public override void Visit(NameVisitor visitor)
    {
    }

    private void RunAlone(Rendering rendering)
    {
        rendering.Enter();
        Scope scope = new(rendering, null, inner);
        scope.Enter();
        Give("self", new BlockNames(rendering.Blocks));
        Give("super", new Undefined($"there is no parent block called '{name}'."));
        Run(body, scope);
        rendering.Leave();

        void Give(string special, object value)
        {
            if (inner.Loads.Any(load => load.Kind == LoadKind.Parameter && load.Name == special))
            {
                scope[inner.Reference(special)] = value;
            }
        }
    }
}

/// <summary>The variable <c>self</c>: the blocks of the template by name.</summary>
internal sealed record BlockNames(IReadOnlyDictionary<string, BlockStatement> Blocks)
{
    public object? Find(string name) => Blocks.TryGetValue(name, out BlockStatement? block) ? new BlockReference(block) : null;
}

/// <summary>A block that can be called.</summary>
internal sealed record BlockReference(BlockStatement Block) : ICallable
{
    public string Name => Block.Name;

    public object Call(Rendering rendering, Arguments arguments) => arguments.Only(Name, 0, 0) is null ? "" : Block.Text(rendering);
}
