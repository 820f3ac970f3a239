using System.Numerics;

namespace ProxyTune.Decoding.Text;

/// <summary>An expression of a template, which gives a value.</summary>
internal abstract class Expression
{
    /// <summary>How deep expressions nest in it.</summary>
    public int Depth { get; private set; } = 1;

    protected Expression(params IEnumerable<Expression?> parts)
    {
        foreach (Expression? part in parts)
        {
            Depth = Math.Max(Depth, (part?.Depth ?? 0) + 1);
        }
    }

    /// <summary>Whether Jinja evaluates it when it compiles.</summary>
    public virtual bool IsConstant => Parts().All(part => part.IsConstant);

    public abstract object Evaluate(Scope scope);

    /// <summary>Tells a frame which names are read and set.</summary>
    public virtual void Analyze(Symbols symbols)
    {
        foreach (Expression part in Parts())
        {
            part.Analyze(symbols);
        }
    }

    /// <summary>Finds the variables, filters and tests.</summary>
    /// <param name="isChecked">Whether an unknown filter or test is an error; inside a condition it is one only when it runs.</param>
    public virtual void Resolve(Symbols symbols, bool isChecked)
    {
        foreach (Expression part in Parts())
        {
            part.Resolve(symbols, isChecked);
        }
    }

    /// <summary>Shows every name inside, in Jinja's order.</summary>
    public virtual void Visit(NameVisitor visitor)
    {
        foreach (Expression part in Parts())
        {
            part.Visit(visitor);
        }
    }

    /// <summary>Gives a value to a target.</summary>
    public virtual void Assign(Scope scope, object value) => throw new InvalidOperationException();

    /// <summary>Makes the expression a target; null where it cannot be one.</summary>
    public virtual Expression? AsTarget(bool isParameter) => null;

    /// <summary>The names that a target sets.</summary>
    public virtual IEnumerable<string> Targets() => [];

    public virtual IEnumerable<Expression> Parts() => [];
}

/// <summary>What is done with a name.</summary>
internal enum NameUse
{
    Read,
    Set,
    Parameter,
}

/// <summary>Sees the names of a part of a template.</summary>
internal delegate void NameVisitor(string name, NameUse use);

internal sealed class Constant(object value) : Expression
{
    public object Value => value;

    public override object Evaluate(Scope scope) => value;
}

/// <summary>A variable, read or set.</summary>
internal sealed class Name(string name) : Expression
{
    private Slot slot;
    private bool isTarget, isParameter, isParameterRead;

    public string Text => name;

    public override bool IsConstant => false;

    public override object Evaluate(Scope scope) => scope[slot] ?? (isParameterRead
        ? throw TemplateException.Failed($"'{name}' is read outside of its loop") : new Undefined($"'{name}' is undefined"));

    public override void Assign(Scope scope, object value) => scope[slot] = value;

    public override void Analyze(Symbols symbols)
    {
        if (isParameter)
        {
            symbols.Parameter(name);
        }
        else if (isTarget)
        {
            symbols.Store(name);
        }
        else
        {
            symbols.Load(name);
        }
    }

    public override void Resolve(Symbols symbols, bool isChecked)
    {
        slot = symbols.Reference(name);
        isParameterRead = !isTarget && symbols.IsParameter(name);
    }

    public override void Visit(NameVisitor visitor) => visitor(name, isParameter ? NameUse.Parameter : isTarget ? NameUse.Set : NameUse.Read);

    public override Expression? AsTarget(bool isParameter) => new Name(name) { isTarget = true, isParameter = isParameter };

    public override IEnumerable<string> Targets() => [name];
}

/// <summary>An attribute of a namespace, which a set statement gives a value.</summary>
internal sealed class NamespaceTarget(string name, string attribute) : Expression
{
    private Slot slot;

    public string Text => name;

    public override object Evaluate(Scope scope) => scope[slot] ?? new Undefined($"'{name}' is undefined");

    public void Check(Scope scope)
    {
        if (scope[slot] is not NamespaceValue)
        {
            throw TemplateException.Failed("cannot assign attribute on non-namespace object");
        }
    }

    public override void Assign(Scope scope, object value)
    {
        Globals.CheckNamespace(attribute);
        scope.Rendering.Build(64);
        ((NamespaceValue)scope[slot]!).Attributes.Set(attribute, value);
    }

    public override void Analyze(Symbols symbols) => symbols.Load(name);

    public override void Resolve(Symbols symbols, bool isChecked) => slot = symbols.Reference(name);

    public override Expression? AsTarget(bool isParameter) => this;
}

internal sealed class ListExpression(List<Expression> items, bool isTuple) : Expression(items)
{
    public override IEnumerable<Expression> Parts() => items;

    public bool IsTuple => isTuple;

    public override object Evaluate(Scope scope)
    {
        scope.Rendering.Step(items.Count);
        object[] values = new object[items.Count];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = items[i].Evaluate(scope);
        }

        return scope.Rendering.Built(isTuple ? new TupleValue(values) : new ListValue([.. values]));
    }

    public override void Assign(Scope scope, object value)
    {
        Operators.Refuse(value is Undefined ? new ListValue([]) : value);
        List<object> values = [];
        foreach (object one in Operators.Counted(scope.Rendering, Operators.Iterate(value)))
        {
            values.Add(one);
            if (values.Count > items.Count)
            {
                throw TemplateException.Failed($"too many values to unpack (expected {items.Count})");
            }
        }

        if (values.Count < items.Count)
        {
            throw TemplateException.Failed($"not enough values to unpack (expected {items.Count}, got {values.Count})");
        }

        for (int i = 0; i < values.Count; i++)
        {
            items[i].Assign(scope, values[i]);
        }
    }

    public override Expression? AsTarget(bool isParameter)
    {
        List<Expression?> targets = [.. items.Select(item => item.AsTarget(isParameter))];
        return isTuple && targets.TrueForAll(target => target is not null) ? new ListExpression(targets!, true) : null;
    }

    public override IEnumerable<string> Targets() => items.SelectMany(item => item.Targets());
}

internal sealed class DictExpression(List<(Expression Key, Expression Value)> pairs) : Expression(pairs.SelectMany(pair => new[] { pair.Key, pair.Value }))
{
    public override IEnumerable<Expression> Parts() => pairs.SelectMany(pair => new[] { pair.Key, pair.Value });

    public override object Evaluate(Scope scope)
    {
        scope.Rendering.Step(pairs.Count);
        DictValue dict = new();
        foreach ((Expression key, Expression value) in pairs)
        {
            dict.Set(key.Evaluate(scope), value.Evaluate(scope));
        }

        return scope.Rendering.Built(dict);
    }
}

internal sealed class Unary(string op, Expression operand) : Expression(operand)
{
    public override IEnumerable<Expression> Parts() => [operand];

    public override object Evaluate(Scope scope)
    {
        scope.Rendering.Step();
        object value = operand.Evaluate(scope);
        return op switch { "not" => !Operators.IsTrue(value), "-" => Operators.Negate(value), _ => Operators.Plus(value) };
    }
}

internal sealed class Binary(string op, Expression left, Expression right) : Expression(left, right)
{
    public override IEnumerable<Expression> Parts() => [left, right];

    public override object Evaluate(Scope scope)
    {
        scope.Rendering.Step();
        object first = left.Evaluate(scope);
        switch (op)
        {
            case "and":
                return Operators.IsTrue(first) ? right.Evaluate(scope) : first;
            case "or":
                return Operators.IsTrue(first) ? first : right.Evaluate(scope);
            case "**" when left.IsConstant && !right.IsConstant && first is BigInteger or double && Printing.Text(scope.Rendering, first)[0] == '-':
                // Jinja writes -2 ** n into its compiled code, where the power comes first.
                return Operators.Negate(Operators.Binary(scope.Rendering, op, Operators.Negate(first), right.Evaluate(scope)));
            default:
                object second = right.Evaluate(scope);
                return op == "+" && first is string a && second is string b ? scope.Rendering.Join(a, b)
                    : scope.Rendering.Built(Operators.Binary(scope.Rendering, op, first, second));
        }
    }
}

/// <summary>a ~ b ~ c.</summary>
/// <param name="escapes">Whether the template's place escapes; null where that is known only when it runs. Jinja joins constants when it compiles, as plain texts.</param>
internal sealed class Concatenation(List<Expression> parts, bool? escapes) : Expression(parts)
{
    public override IEnumerable<Expression> Parts() => parts;

    public override object Evaluate(Scope scope)
    {
        Rendering rendering = scope.Rendering;
        rendering.Step();
        object[] values = [.. parts.Select(part => part.Evaluate(scope))];
        bool asMarkup = escapes == true && !IsConstant && values.Any(value => value is Markup);
        string[] texts = [.. values.Select(value => asMarkup ? Html.Escaped(rendering, value) : Printing.Text(rendering, value))];
        rendering.BuildText(texts.Sum(text => (double)text.Length));
        string joined = string.Concat(texts);
        return asMarkup ? new Markup(joined) : joined;
    }
}

/// <summary>a &lt; b &lt; c: each operand is evaluated once, and only as far as needed.</summary>
internal sealed class Comparison(Expression first, List<(string Op, Expression Operand)> rest) : Expression(rest.Select(pair => pair.Operand).Prepend(first))
{
    public override IEnumerable<Expression> Parts() => rest.Select(pair => pair.Operand).Prepend(first);

    public override object Evaluate(Scope scope)
    {
        object left = first.Evaluate(scope);
        foreach ((string op, Expression operand) in rest)
        {
            scope.Rendering.Step();
            object right = operand.Evaluate(scope);
            if (!Operators.Compare(scope.Rendering, op, left, right))
            {
                return false;
            }

            left = right;
        }

        return true;
    }
}

internal sealed class Conditional(Expression test, Expression then, Expression? otherwise, int line) : Expression(test, then, otherwise)
{
    public override IEnumerable<Expression> Parts() => otherwise is null ? [test, then] : [test, then, otherwise];

    public override void Resolve(Symbols symbols, bool isChecked) => base.Resolve(symbols, isChecked: false);

    public override object Evaluate(Scope scope)
    {
        scope.Rendering.Step();
        return Operators.IsTrue(test.Evaluate(scope)) ? then.Evaluate(scope)
            : otherwise?.Evaluate(scope) ?? new Undefined($"the inline if-expression on line {line} evaluated to false and no else section was defined.");
    }
}

internal sealed class AttributeExpression(Expression owner, string name) : Expression(owner)
{
    public override IEnumerable<Expression> Parts() => [owner];

    public override object Evaluate(Scope scope)
    {
        scope.Rendering.Step();
        return Operators.Attribute(scope.Rendering, owner.Evaluate(scope), name);
    }
}

internal sealed class ElementExpression(Expression owner, Expression key) : Expression(owner, key)
{
    public override IEnumerable<Expression> Parts() => [owner, key];

    public override object Evaluate(Scope scope)
    {
        scope.Rendering.Step();
        return Operators.Item(scope.Rendering, owner.Evaluate(scope), key.Evaluate(scope));
    }
}

internal sealed class SliceExpression(Expression owner, Expression? start, Expression? stop, Expression? step) : Expression(owner, start, stop, step)
{
    public override IEnumerable<Expression> Parts() => new[] { owner, start, stop, step }.OfType<Expression>();

    public override object Evaluate(Scope scope)
    {
        scope.Rendering.Step();
        return Operators.Slice(scope.Rendering, owner.Evaluate(scope), start?.Evaluate(scope), stop?.Evaluate(scope), step?.Evaluate(scope));
    }
}

/// <summary>The arguments of a call, filter or test.</summary>
internal sealed record CallArguments(List<Expression> Positional, List<(string Name, Expression Value)> Named, Expression? Rest, Expression? NamedRest)
{
    public static readonly CallArguments None = new([], [], null, null);

    public IEnumerable<Expression> Parts() => Positional.Concat(Named.Select(pair => pair.Value)).Concat(new[] { Rest, NamedRest }.OfType<Expression>());

    public Arguments Evaluate(Scope scope, object? caller = null)
    {
        if (caller is null && Positional.Count == 0 && Named.Count == 0 && Rest is null && NamedRest is null)
        {
            return Arguments.None;
        }

        List<object> positional = [.. Positional.Select(part => part.Evaluate(scope))];
        List<KeyValuePair<string, object>> named = [.. Named.Select(pair => KeyValuePair.Create(pair.Name, pair.Value.Evaluate(scope)))];
        if (caller is not null)
        {
            named.Add(new("caller", caller));
        }

        if (Rest is not null)
        {
            positional.AddRange(Operators.Counted(scope.Rendering, Operators.Iterate(Rest.Evaluate(scope))));
        }

        if (NamedRest is not null)
        {
            DictValue more = NamedRest.Evaluate(scope) as DictValue ?? throw TemplateException.Failed("argument after ** must be a mapping");
            foreach ((object key, object value) in more.Items)
            {
                string name = Operators.AsText(key) ?? throw TemplateException.Failed("keywords must be strings");
                named.Add(named.TrueForAll(pair => pair.Key != name) ? new(name, value) : throw TemplateException.Failed($"got multiple values for keyword argument '{name}'"));
            }
        }

        scope.Rendering.Step(positional.Count + named.Count);
        return new(positional, named);
    }
}

internal sealed class CallExpression(Expression function, CallArguments arguments) : Expression(arguments.Parts().Prepend(function))
{
    public override IEnumerable<Expression> Parts() => arguments.Parts().Prepend(function);

    public override bool IsConstant => false;

    public override object Evaluate(Scope scope) => Call(scope, caller: null);

    public object Call(Scope scope, Macro? caller)
    {
        Rendering rendering = scope.Rendering;
        rendering.Step();
        object called = function.Evaluate(scope);
        Arguments given = arguments.Evaluate(scope, caller);
        Operators.Refuse(called);
        ICallable callable = called as ICallable ?? throw TemplateException.Failed($"'{Printing.TypeName(called)}' object is not callable");
        return rendering.Built(callable.Call(rendering, given));
    }
}

/// <param name="value">Null where the filter takes the text of a block.</param>
internal sealed class FilterExpression(Expression? value, string name, CallArguments arguments, int line) : Expression(arguments.Parts().Prepend(value))
{
    private Filter? filter;

    public override bool IsConstant => value is { IsConstant: true } && name is not ("map" or "select" or "reject" or "selectattr" or "rejectattr") && base.IsConstant;

    public override IEnumerable<Expression> Parts() => value is null ? arguments.Parts() : arguments.Parts().Prepend(value);

    public override void Resolve(Symbols symbols, bool isChecked)
    {
        base.Resolve(symbols, isChecked);
        filter = Filters.Find(name);
        if (filter is null && (isChecked || Filters.Unsupported.Contains(name)))
        {
            throw TemplateException.Unsupported($"the filter '{name}' (line {line})");
        }
    }

    public override object Evaluate(Scope scope) => Apply(scope, value!.Evaluate(scope));

    /// <summary>Filters a text, through the filters that stand before this one.</summary>
    public object ApplyToBlock(Scope scope, object text) => Apply(scope, value is FilterExpression inner ? inner.ApplyToBlock(scope, text) : text);

    private object Apply(Scope scope, object subject)
    {
        Rendering rendering = scope.Rendering;
        rendering.Step();
        rendering.Reads(subject);
        Arguments given = arguments.Evaluate(scope);
        return rendering.Built((filter ?? Filters.Get(name))(rendering, subject, given));
    }
}

internal sealed class TestExpression(Expression value, string name, CallArguments arguments, int line) : Expression(arguments.Parts().Prepend(value))
{
    private Test? test;

    public override IEnumerable<Expression> Parts() => arguments.Parts().Prepend(value);

    public override void Resolve(Symbols symbols, bool isChecked)
    {
        base.Resolve(symbols, isChecked);
        test = Tests.Find(name);
        if (test is null && isChecked)
        {
            throw TemplateException.Unsupported($"the test '{name}' (line {line})");
        }
    }

    public override object Evaluate(Scope scope)
    {
        Rendering rendering = scope.Rendering;
        rendering.Step();
        object subject = value.Evaluate(scope);
        return (test ?? Tests.Get(name))(rendering, subject, arguments.Evaluate(scope));
    }
}
