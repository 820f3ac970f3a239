namespace ProxyTune.Decoding.Text;

/// <summary>{% set a, ns.b = value %}.</summary>
internal sealed class Set(Expression target, Expression value) : Statement
{
    private string[] exported = [];

    public override Flow Execute(Scope scope)
    {
        foreach (Expression part in target is NamespaceTarget ? [target] : target.Parts())
        {
            (part as NamespaceTarget)?.Check(scope);
        }

        target.Assign(scope, value.Evaluate(scope));
        Export(scope, target, exported);
        return Flow.Next;
    }

    public override void Analyze(Symbols symbols)
    {
        value.Analyze(symbols);
        target.Analyze(symbols);
    }

    public override void Resolve(Frame frame)
    {
        target.Resolve(frame.Symbols, frame.IsChecked);
        value.Resolve(frame.Symbols, frame.IsChecked);
        exported = frame.IsTop ? [.. target.Targets()] : [];
    }

    public override void Visit(NameVisitor visitor)
    {
        target.Visit(visitor);
        value.Visit(visitor);
    }

    public static void Export(Scope scope, Expression target, string[] names)
    {
        foreach (Name name in (target is Name ? [target] : target.Parts()).OfType<Name>().Where(name => names.Contains(name.Text)))
        {
            scope.Rendering.Exported[name.Text] = name.Evaluate(scope);
        }
    }
}

/// <summary>{% set a %}...{% endset %}.</summary>
internal sealed class SetBlock(Expression target, FilterExpression? filter, List<Statement> body, bool? escapes) : Statement
{
    private Symbols? inner;
    private string[] exported = [];

    public override Flow Execute(Scope scope)
    {
        Rendering rendering = scope.Rendering;
        Scope block = new(rendering, scope, inner!);
        block.Enter();
        Flow flow = Flow.Next;
        string? text = rendering.Capture(() => flow = Run(body, block));
        if (text is null)
        {
            return flow;
        }

        object value = text;
        if (filter is not null)
        {
            value = filter.ApplyToBlock(block, escapes ?? rendering.Escapes ? new Markup(text) : text);
        }

        target.Assign(scope, rendering.Escapes ? new Markup(Printing.Text(rendering, value)) : value);
        Set.Export(scope, target, exported);
        return Flow.Next;
    }

    public override void Analyze(Symbols symbols) => target.Analyze(symbols);

    public override void Resolve(Frame frame)
    {
        inner = new(frame.Symbols);
        Analyze(body, inner);
        Resolve(body, frame.Inner(inner));
        target.Resolve(frame.Symbols, frame.IsChecked);
        filter?.Resolve(inner, isChecked: true);
        exported = frame.IsTop ? [.. target.Targets()] : [];
    }

    public override void Visit(NameVisitor visitor)
    {
        target.Visit(visitor);
        filter?.Visit(visitor);
        Visit(body, visitor);
    }
}

/// <summary>{% filter upper %}...{% endfilter %}.</summary>
internal sealed class FilterBlock(FilterExpression filter, List<Statement> body, bool? escapes) : Statement
{
    private Symbols? inner;

    public override Flow Execute(Scope scope)
    {
        Rendering rendering = scope.Rendering;
        Scope block = new(rendering, scope, inner!);
        block.Enter();
        Flow flow = Flow.Next;
        if (rendering.Capture(() => flow = Run(body, block)) is not { } text)
        {
            return flow;
        }

        object value = filter.ApplyToBlock(block, escapes ?? rendering.Escapes ? new Markup(text) : text);
        rendering.Write(Operators.AsText(value) ?? throw TemplateException.Failed($"a filter block gives a {Printing.TypeName(value)}, not a text"));
        return Flow.Next;
    }

    public override void Analyze(Symbols symbols) => filter.Analyze(symbols);

    public override void Resolve(Frame frame)
    {
        inner = new(frame.Symbols);
        Analyze(body, inner);
        filter.Analyze(inner);
        Resolve(body, frame.Inner(inner));
        filter.Resolve(inner, isChecked: true);
    }

    public override void Visit(NameVisitor visitor)
    {
        Visit(body, visitor);
        filter.Visit(visitor);
    }
}

/// <summary>{% with a = 1 %}...{% endwith %}.</summary>
internal sealed class With(List<(Expression Target, Expression Value)> variables, List<Statement> body) : Statement
{
    private Symbols? inner;

    public override Flow Execute(Scope scope)
    {
        Scope block = new(scope.Rendering, scope, inner!);
        block.Enter();
        foreach ((Expression target, Expression value) in variables)
        {
            target.Assign(block, value.Evaluate(scope));
        }

        return Run(body, block);
    }

    public override void Analyze(Symbols symbols)
    {
        foreach ((_, Expression value) in variables)
        {
            value.Analyze(symbols);
        }
    }

    public override void Resolve(Frame frame)
    {
        inner = new(frame.Symbols);
        foreach ((Expression target, _) in variables)
        {
            target.Analyze(inner);
        }

        Analyze(body, inner);
        foreach ((Expression target, Expression value) in variables)
        {
            target.Resolve(inner, isChecked: true);
            value.Resolve(frame.Symbols, frame.IsChecked);
        }

        Resolve(body, frame.Inner(inner));
    }

    public override void Visit(NameVisitor visitor)
    {
        foreach ((Expression target, _) in variables)
        {
            target.Visit(visitor);
        }

        foreach ((_, Expression value) in variables)
        {
            value.Visit(visitor);
        }

        Visit(body, visitor);
    }
}

/// <summary>{% autoescape true %}...{% endautoescape %}.</summary>
internal sealed class AutoEscape(Expression isOn, List<Statement> body) : Statement
{
    private Symbols? inner;

    public override Flow Execute(Scope scope)
    {
        Rendering rendering = scope.Rendering;
        Scope block = new(rendering, scope, inner!);
        block.Enter();
        bool before = rendering.Escapes;
        rendering.Escapes = Operators.IsTrue(isOn.Evaluate(block));
        Flow flow = Run(body, block);
        rendering.Escapes = before;
        return flow;
    }

    public override void Analyze(Symbols symbols)
    {
    }

    public override void Resolve(Frame frame)
    {
        inner = new(frame.Symbols);
        isOn.Analyze(inner);
        Analyze(body, inner);
        isOn.Resolve(inner, isChecked: true);
        Resolve(body, frame.Inner(inner));
    }

    public override void Visit(NameVisitor visitor)
    {
        isOn.Visit(visitor);
        Visit(body, visitor);
    }
}

/// <summary>{% break %} and {% continue %}.</summary>
internal sealed class Jump(Flow flow, int line) : Statement
{
    public override Flow Execute(Scope scope) => flow;

    public override void Analyze(Symbols symbols)
    {
    }

    public override void Resolve(Frame frame)
    {
        if (!frame.InLoop)
        {
            throw TemplateException.Syntax($"'{(flow == Flow.Break ? "break" : "continue")}' outside loop", line);
        }
    }

    public override void Visit(NameVisitor visitor)
    {
    }
}

/// <summary>include, import and extends: there are no other templates, so they fail when they run.</summary>
internal sealed class Import(string tag, Expression template, List<string> targets, bool ignoresMissing) : Statement
{
    public override Flow Execute(Scope scope)
    {
        object name = template.Evaluate(scope);
        Operators.Refuse(name);
        return ignoresMissing && Operators.AsText(name) is null && !Operators.IsTrue(name) ? Flow.Next
            : throw TemplateException.Failed($"'{tag}' needs another template, and a chat template has none");
    }

    public override void Analyze(Symbols symbols)
    {
        template.Analyze(symbols);
        targets.ForEach(symbols.Store);
    }

    public override void Resolve(Frame frame)
    {
        template.Resolve(frame.Symbols, frame.IsChecked);
        if (tag == "extends" && !frame.IsTop)
        {
            throw new TemplateException(TemplateFault.Syntax, "cannot use extend from a non top-level scope");
        }
    }

    public override void Visit(NameVisitor visitor) => template.Visit(visitor);
}
