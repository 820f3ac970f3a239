using System.Numerics;

namespace ProxyTune.Decoding.Text;

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
