namespace ProxyTune.Decoding.Text;

/// <summary>How a statement ended.</summary>
internal enum Flow
{
    Next,
    Break,
    Continue,
}

/// <summary>Where statements stand while their names are resolved.</summary>
/// <param name="IsChecked">Whether unknown filters and tests are errors.</param>
/// <param name="IsTop">Whether a set reaches the blocks too.</param>
/// <param name="InLoop">Whether break and continue have a loop.</param>
internal sealed record Frame(Symbols Symbols, bool IsChecked, bool IsTop, bool InLoop)
{
    public Frame Inner(Symbols symbols) => new(symbols, true, false, InLoop);
}

/// <summary>A statement of a template.</summary>
internal abstract class Statement
{
    public abstract Flow Execute(Scope scope);

    /// <summary>Tells the frame around it which names are read and set; not what an inner frame does.</summary>
    public abstract void Analyze(Symbols symbols);

    /// <summary>Finds the variables, frame by frame.</summary>
    public abstract void Resolve(Frame frame);

    /// <summary>Shows every name inside, in Jinja's order.</summary>
    public abstract void Visit(NameVisitor visitor);

    /// <summary>Names that are read before anything in these statements sets them.</summary>
    public static HashSet<string> Undeclared(IEnumerable<Statement> body, params IEnumerable<string> names)
    {
        HashSet<string> wanted = [.. names], undeclared = [];
        Visit(body, (name, use) =>
        {
            if (use == NameUse.Read && wanted.Contains(name))
            {
                undeclared.Add(name);
            }
            else
            {
                wanted.Remove(name);
            }
        });
        return undeclared;
    }

    protected static Flow Run(IReadOnlyList<Statement> body, Scope scope) => Statements.Run(body, scope);

    protected static void Analyze(IEnumerable<Statement> body, Symbols symbols) => Statements.Analyze(body, symbols);

    protected static void Resolve(IEnumerable<Statement> body, Frame frame) => Statements.Resolve(body, frame);

    protected static void Visit(IEnumerable<Statement> body, NameVisitor visitor) => Statements.Visit(body, visitor);

    /// <summary>Runs statements in a frame of their own.</summary>
    protected static Flow RunInner(IReadOnlyList<Statement> body, Scope outer, Symbols symbols)
    {
        Scope scope = new(outer.Rendering, outer, symbols);
        scope.Enter();
        return Run(body, scope);
    }
}

/// <summary>What is done with the statements of a body, one after the other.</summary>
internal static class Statements
{
    public static Flow Run(IReadOnlyList<Statement> body, Scope scope)
    {
        for (int i = 0; i < body.Count; i++)
        {
            scope.Rendering.Step();
            if (body[i].Execute(scope) is var flow && flow != Flow.Next)
            {
                return flow;
            }
        }

        return Flow.Next;
    }

    public static void Analyze(IEnumerable<Statement> body, Symbols symbols)
    {
        foreach (Statement statement in body)
        {
            statement.Analyze(symbols);
        }
    }

    public static void Resolve(IEnumerable<Statement> body, Frame frame)
    {
        foreach (Statement statement in body)
        {
            statement.Resolve(frame);
        }
    }

    public static void Visit(IEnumerable<Statement> body, NameVisitor visitor)
    {
        foreach (Statement statement in body)
        {
            statement.Visit(visitor);
        }
    }
}

/// <summary>Text and printed values.</summary>
/// <param name="escapes">As in <see cref="Concatenation"/>.</param>
internal sealed class Output(List<(string? Text, Expression? Value)> parts, bool? escapes) : Statement
{
    public override Flow Execute(Scope scope)
    {
        Rendering rendering = scope.Rendering;
        foreach ((string? text, Expression? value) in parts)
        {
            rendering.Step();
            if (text is not null)
            {
                rendering.Write(text);
                continue;
            }

            object printed = value!.Evaluate(scope);
            rendering.Write(escapes ?? rendering.Escapes ? Html.Escaped(rendering, printed) : Printing.Text(rendering, printed));
        }

        return Flow.Next;
    }

    public override void Analyze(Symbols symbols)
    {
        foreach (Expression value in Values())
        {
            value.Analyze(symbols);
        }
    }

    public override void Resolve(Frame frame)
    {
        foreach (Expression value in Values())
        {
            value.Resolve(frame.Symbols, frame.IsChecked);
        }
    }

    public override void Visit(NameVisitor visitor)
    {
        foreach (Expression value in Values())
        {
            value.Visit(visitor);
        }
    }

    private IEnumerable<Expression> Values() => parts.Select(part => part.Value).OfType<Expression>();
}

/// <param name="branches">The if and its elifs.</param>
internal sealed class If(List<(Expression Test, List<Statement> Body)> branches, List<Statement> otherwise) : Statement
{
    public override Flow Execute(Scope scope)
    {
        foreach ((Expression test, List<Statement> body) in branches)
        {
            scope.Rendering.Step();
            if (Operators.IsTrue(test.Evaluate(scope)))
            {
                return Run(body, scope);
            }
        }

        return Run(otherwise, scope);
    }

    public override void Analyze(Symbols symbols)
    {
        branches[0].Test.Analyze(symbols);
        symbols.Branch(copy => Analyze(branches[0].Body, copy), Elifs, copy => Analyze(otherwise, copy));

        void Elifs(Symbols copy)
        {
            foreach ((Expression test, List<Statement> body) in branches.Skip(1))
            {
                test.Analyze(copy);
                copy.Branch(inner => Analyze(body, inner));
            }
        }
    }

    public override void Resolve(Frame frame)
    {
        Frame soft = frame with { IsChecked = false };
        foreach ((Expression test, List<Statement> body) in branches)
        {
            test.Resolve(frame.Symbols, isChecked: false);
            Resolve(body, soft);
        }

        Resolve(otherwise, soft);
    }

    public override void Visit(NameVisitor visitor)
    {
        foreach ((Expression test, List<Statement> body) in branches)
        {
            test.Visit(visitor);
            Visit(body, visitor);
        }

        Visit(otherwise, visitor);
    }
}

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
