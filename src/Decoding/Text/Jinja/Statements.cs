using System.Numerics;

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
            bool isEscaped = escapes ?? rendering.Escapes;
            rendering.Write(!isEscaped && printed is string plain ? plain : isEscaped ? Html.Escaped(rendering, printed) : Printing.Text(rendering, printed));
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

/// <summary>{% for a in b if c recursive %}...{% else %}...{% endfor %}.</summary>
internal sealed class For(Expression target, Expression iterable, Expression? test, bool isRecursive, List<Statement> body, List<Statement> otherwise, bool? escapes, bool hasScopedBlock, int line) : Statement
{
    private readonly Expression testTarget = target.AsTarget(isParameter: true)!;
    private Symbols? loopSymbols, testSymbols, elseSymbols;
    private Slot? loopSlot;

    public override Flow Execute(Scope scope)
    {
        object items = iterable.Evaluate(scope);
        if (!isRecursive)
        {
            return RunOn(scope, items, 0);
        }

        scope.Rendering.Write(Operators.AsText(Recurse(scope, items, 0))!);
        return Flow.Next;
    }

    /// <summary>Runs the loop on other items, one level deeper.</summary>
    /// <returns>What it writes.</returns>
    public object Recurse(Scope scope, object items, int depth)
    {
        Rendering rendering = scope.Rendering;
        rendering.Enter();
        string text = rendering.Capture(() => RunOn(scope, items, depth))!;
        rendering.Leave();
        return escapes ?? rendering.Escapes ? new Markup(text) : text;
    }

    public bool IsRecursive => isRecursive;

    public override void Analyze(Symbols symbols) => iterable.Analyze(symbols);

    public override void Resolve(Frame frame)
    {
        loopSymbols = new(frame.Symbols);
        testSymbols = new(frame.Symbols);
        elseSymbols = new(frame.Symbols);
        bool usesLoop = isRecursive || Undeclared(body, "loop").Count > 0 || hasScopedBlock;
        if (usesLoop)
        {
            loopSymbols.Parameter("loop");
        }

        target.Analyze(loopSymbols);
        Analyze(body, loopSymbols);
        Analyze(otherwise, elseSymbols);
        if (test is not null)
        {
            testTarget.Analyze(testSymbols);
            test.Analyze(testSymbols);
            testTarget.Resolve(testSymbols, isChecked: true);
            test.Resolve(testSymbols, isChecked: true);
        }

        Visit((name, use) =>
        {
            if (name == "loop" && use != NameUse.Read)
            {
                throw TemplateException.Syntax("can't assign to special loop variable in for-loop target", line);
            }
        });
        target.Resolve(loopSymbols, isChecked: true);
        iterable.Resolve(frame.Symbols, frame.IsChecked);
        loopSlot = usesLoop ? loopSymbols.Find("loop") : null;
        Resolve(body, frame.Inner(loopSymbols) with { InLoop = true });
        Resolve(otherwise, frame.Inner(elseSymbols) with { InLoop = frame.InLoop && !isRecursive });
    }

    public override void Visit(NameVisitor visitor)
    {
        target.Visit(visitor);
        iterable.Visit(visitor);
        Visit(body, visitor);
        Visit(otherwise, visitor);
        test?.Visit(visitor);
    }

    private Flow RunOn(Scope outer, object items, int depth)
    {
        Rendering rendering = outer.Rendering;
        IEnumerable<object> all = Operators.Iterate(items);
        LoopValue loop = new(this, outer, test is null ? items : new IteratorValue(Chosen(outer, all)), test is null ? all : null, depth);
        Scope scope = new(rendering, outer, loopSymbols!);

        // As in the code that Jinja compiles, a round that is left early does not count here.
        bool hasRun = false;
        while (loop.MoveNext())
        {
            rendering.Step();
            target.Assign(scope, loop.Current!);
            if (loopSlot is { } slot)
            {
                scope[slot] = loop;
            }

            scope.Enter();
            Flow flow = Run(body, scope);
            if (flow == Flow.Break)
            {
                break;
            }

            hasRun |= flow == Flow.Next;
        }

        scope.Leave();
        return hasRun || otherwise.Count == 0 ? Flow.Next : RunInner(otherwise, outer, elseSymbols!);
    }

    private IEnumerable<object> Chosen(Scope outer, IEnumerable<object> items)
    {
        Scope scope = new(outer.Rendering, outer, testSymbols!);
        scope.Enter();
        foreach (object item in items)
        {
            outer.Rendering.Step();
            testTarget.Assign(scope, item);
            if (Operators.IsTrue(test!.Evaluate(scope)))
            {
                yield return item;
            }
        }
    }
}

/// <summary>The variable <c>loop</c>.</summary>
/// <param name="items">What the loop runs over; its length is known without reading it, or not.</param>
/// <param name="all">The elements; null to take them from <paramref name="items"/>, an iterator.</param>
internal sealed class LoopValue(For statement, Scope outer, object items, IEnumerable<object>? all, int depth) : ICallable
{
    private IEnumerator<object> enumerator = (all ?? (IteratorValue)items).GetEnumerator();
    private object? previous, next;
    private List<object>? changed;
    private int? length;

    public int Index0 { get; private set; } = -1;

    public object? Current { get; private set; }

    public int Length => length ??= Operators.Length(outer.Rendering, items) ?? ReadAll();

    public bool MoveNext()
    {
        object? item = Peek();
        if (item is null)
        {
            return false;
        }

        Index0++;
        (previous, Current, next) = (Current, item, null);
        return true;
    }

    public object? Find(string name) => name switch
    {
        "index" => (BigInteger)Index0 + 1,
        "index0" => (BigInteger)Index0,
        "revindex" => (BigInteger)Length - Index0,
        "revindex0" => (BigInteger)Length - Index0 - 1,
        "first" => Index0 == 0,
        "last" => Peek() is null,
        "length" => (BigInteger)Length,
        "depth" => (BigInteger)depth + 1,
        "depth0" => (BigInteger)depth,
        "previtem" => Index0 == 0 ? new Undefined("there is no previous item") : previous,
        "nextitem" => Peek() ?? new Undefined("there is no next item"),
        "cycle" => new Function("cycle", (_, arguments) => arguments.Only("cycle", 1, int.MaxValue) is var given ? given[Index0 % given.Count] : given),
        "changed" => new Function("changed", (rendering, arguments) => HasChanged(rendering, arguments.Only("changed", 0, int.MaxValue))),
        _ => null,
    };

    public object Call(Rendering rendering, Arguments arguments) => statement.IsRecursive
        ? statement.Recurse(outer, arguments.Bind("loop", "iterable")[0]!, depth + 1)
        : throw TemplateException.Failed("The loop must have the 'recursive' marker to be called recursively.");

    private object? Peek()
    {
        if (next is null && enumerator.MoveNext())
        {
            next = enumerator.Current;
        }

        return next;
    }

    private int ReadAll()
    {
        List<object> rest = [];
        while (enumerator.MoveNext())
        {
            outer.Rendering.Step();
            outer.Rendering.Build(16);
            rest.Add(enumerator.Current);
        }

        enumerator = rest.GetEnumerator();
        return rest.Count + Index0 + 1 + (next is null ? 0 : 1);
    }

    private bool HasChanged(Rendering rendering, List<object> values)
    {
        bool isSame = changed is not null && Operators.AreEqual(rendering, new TupleValue([.. changed]), new TupleValue([.. values]));
        changed = isSame ? changed : values;
        return !isSame;
    }
}
