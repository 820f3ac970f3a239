using System.Runtime.CompilerServices;

namespace ProxyTune.Decoding.Text;

/// <summary>Reads expressions, by Jinja's grammar: or, and, not, comparisons, + and -, ~, * and / and // and %, **, signs, then postfixes and filters.</summary>
internal class ExpressionParser(List<Token> tokens)
{
    /// <summary>The deepest nesting of expressions and blocks in a template. Jinja itself fails at about 100 brackets.</summary>
    public const int MaxDepth = 500;

    private const int MaxRecursion = 200;

    private int at;
    private int depth;

    /// <summary>Whether the place that is read escapes what it prints; null where that is known only when it runs.</summary>
    protected bool? Escapes { get; set; } = false;

    protected Token Current => tokens[at];

    protected Token Take() => tokens[at < tokens.Count - 1 ? at++ : at];

    protected bool SkipName(string name)
    {
        bool isIt = Current.IsName(name);
        at += isIt ? 1 : 0;
        return isIt;
    }

    protected bool SkipOperator(string text)
    {
        bool isIt = Current.IsOperator(text);
        at += isIt ? 1 : 0;
        return isIt;
    }

    protected void Expect(string op)
    {
        if (!SkipOperator(op))
        {
            throw Unexpected($"expected '{op}', got '{Current}'");
        }
    }

    protected string ExpectName() => Current.Kind == TokenKind.Name ? Take().Text : throw Unexpected($"expected a name, got '{Current}'");

    protected void Expect(TokenKind kind)
    {
        if (Current.Kind != kind)
        {
            throw Unexpected($"expected the end of the tag, got '{Current}'");
        }

        Take();
    }

    protected TemplateException Unexpected(string message) => TemplateException.Syntax(message, Current.Line);

    /// <summary>Reads something inside of something else of its kind.</summary>
    protected T Nested<T>(Func<T> read)
    {
        if (++depth > MaxRecursion || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw TemplateException.Limit($"nests deeper than {MaxRecursion} levels (line {Current.Line})");
        }

        T result = read();
        depth--;
        return result;
    }

    /// <summary>An expression, or several with commas between them, which are a tuple.</summary>
    protected Expression ParseTuple(bool withCondition = true, string? end = null, bool inParentheses = false, Func<Expression>? parse = null)
    {
        parse ??= withCondition ? ParseExpression : ParseOr;
        List<Expression> items = [];
        bool isTuple = false;
        while (true)
        {
            if (items.Count > 0)
            {
                Expect(",");
            }

            if (Current.Kind is TokenKind.PrintEnd or TokenKind.BlockEnd or TokenKind.End || Current.IsOperator(")") || (end is not null && Current.IsName(end)))
            {
                break;
            }

            items.Add(parse());
            if (!Current.IsOperator(","))
            {
                break;
            }

            isTuple = true;
        }

        return isTuple ? new ListExpression(items, isTuple: true)
            : items.Count > 0 ? items[0]
            : inParentheses ? new ListExpression([], isTuple: true)
            : throw Unexpected($"expected an expression, got '{Current}'");
    }

    protected Expression ParseExpression() => Nested(() =>
    {
        int line = Current.Line;
        Expression value = ParseOr();
        while (SkipName("if"))
        {
            Expression test = ParseOr();
            value = Checked(new Conditional(test, value, SkipName("else") ? ParseExpression() : null, line));
            line = Current.Line;
        }

        return value;
    });

    protected Expression ParseOr()
    {
        Expression left = ParseAnd();
        while (SkipName("or"))
        {
            left = Checked(new Binary("or", left, ParseAnd()));
        }

        return left;
    }

    protected Expression ParsePrimary(bool withNamespace = false)
    {
        Token token = Take();
        switch (token.Kind)
        {
            case TokenKind.Name when token.Text is "true" or "True" or "false" or "False":
                return new Constant(token.Text is "true" or "True");
            case TokenKind.Name when token.Text is "none" or "None":
                return new Constant(NoneValue.Value);
            case TokenKind.Name when withNamespace && SkipOperator("."):
                return new NamespaceTarget(token.Text, ExpectName());
            case TokenKind.Name:
                return new Name(token.Text);
            case TokenKind.Text:
                string text = token.Text;
                while (Current.Kind == TokenKind.Text)
                {
                    text += Take().Text;
                }

                return new Constant(text);
            case TokenKind.Integer or TokenKind.Float:
                return new Constant(token.Number!);
            case TokenKind.Operator when token.Text == "(":
                Expression inner = Nested(() => ParseTuple(inParentheses: true));
                Expect(")");
                return inner;
            case TokenKind.Operator when token.Text == "[":
                return Checked(new ListExpression(ParseItems("]", () => ParseExpression()), isTuple: false));
            case TokenKind.Operator when token.Text == "{":
                return Checked(new DictExpression(ParseItems("}", ParsePair)));
            default:
                throw TemplateException.Syntax($"unexpected '{token}'", token.Line);
        }
    }

    protected Expression ParsePostfix(Expression node)
    {
        while (true)
        {
            if (SkipOperator("."))
            {
                Token name = Take();
                node = Checked<Expression>(name.Kind switch
                {
                    TokenKind.Name => new AttributeExpression(node, name.Text),
                    TokenKind.Integer => new ElementExpression(node, new Constant(name.Number!)),
                    _ => throw TemplateException.Syntax("expected a name or number", name.Line),
                });
            }
            else if (SkipOperator("["))
            {
                node = Checked(ParseSubscript(node));
            }
            else if (Current.IsOperator("("))
            {
                node = ParseCall(node);
            }
            else
            {
                return node;
            }
        }
    }

    /// <summary>Filters, one behind the other.</summary>
    /// <param name="startsInline">Whether the name of the first one comes without a bar.</param>
    protected FilterExpression? ParseFilter(Expression? node, bool startsInline = false)
    {
        FilterExpression? filter = null;
        while (startsInline || SkipOperator("|"))
        {
            int line = Current.Line;
            string name = ParseDottedName();
            filter = Checked(new FilterExpression(filter ?? node, name, Current.IsOperator("(") ? ParseArguments() : CallArguments.None, line));
            startsInline = false;
        }

        return filter;
    }

    private static T Checked<T>(T expression)
        where T : Expression =>
        expression.Depth <= MaxDepth ? expression : throw TemplateException.Limit($"nests expressions deeper than {MaxDepth} levels");

    private Expression ParseAnd()
    {
        Expression left = ParseNot();
        while (SkipName("and"))
        {
            left = Checked(new Binary("and", left, ParseNot()));
        }

        return left;
    }

    private Expression ParseNot() => SkipName("not") ? Nested(() => Checked(new Unary("not", ParseNot()))) : ParseComparison();

    private Expression ParseComparison()
    {
        Expression first = ParseSum();
        List<(string Op, Expression Operand)> rest = [];
        while (true)
        {
            if (Current.Kind == TokenKind.Operator && Current.Text is "==" or "!=" or "<" or "<=" or ">" or ">=")
            {
                rest.Add((Take().Text, ParseSum()));
            }
            else if (SkipName("in"))
            {
                rest.Add(("in", ParseSum()));
            }
            else if (Current.IsName("not") && tokens[at + 1].IsName("in"))
            {
                at += 2;
                rest.Add(("not in", ParseSum()));
            }
            else
            {
                return rest.Count == 0 ? first : Checked(new Comparison(first, rest));
            }
        }
    }

    private Expression ParseSum()
    {
        Expression left = ParseConcatenation();
        while (Current.Kind == TokenKind.Operator && Current.Text is "+" or "-")
        {
            left = Checked(new Binary(Take().Text, left, ParseConcatenation()));
        }

        return left;
    }

    private Expression ParseConcatenation()
    {
        List<Expression> parts = [ParseProduct()];
        while (SkipOperator("~"))
        {
            parts.Add(ParseProduct());
        }

        return parts.Count == 1 ? parts[0] : Checked(new Concatenation(parts, Escapes));
    }

    private Expression ParseProduct()
    {
        Expression left = ParsePower();
        while (Current.Kind == TokenKind.Operator && Current.Text is "*" or "/" or "//" or "%")
        {
            left = Checked(new Binary(Take().Text, left, ParsePower()));
        }

        return left;
    }

    private Expression ParsePower()
    {
        Expression left = ParseUnary();
        while (SkipOperator("**"))
        {
            left = Checked(new Binary("**", left, ParseUnary()));
        }

        return left;
    }

    private Expression ParseUnary(bool withFilter = true)
    {
        Expression node = Current.IsOperator("-") || Current.IsOperator("+")
            ? Take().Text is var sign ? Nested(() => Checked(new Unary(sign, ParseUnary(withFilter: false)))) : null!
            : ParsePrimary();
        node = ParsePostfix(node);
        while (withFilter)
        {
            if (Current.IsOperator("|"))
            {
                node = ParseFilter(node)!;
            }
            else if (SkipName("is"))
            {
                node = ParseTest(node);
            }
            else if (Current.IsOperator("("))
            {
                node = ParseCall(node);
            }
            else
            {
                break;
            }
        }

        return node;
    }

    private CallExpression ParseCall(Expression function)
    {
        if (function is Name { Text: "lipsum" })
        {
            throw TemplateException.Unsupported($"lipsum, which gives random text (line {Current.Line}),");
        }

        return Checked(new CallExpression(function, ParseArguments()));
    }

    private Expression ParseTest(Expression value)
    {
        bool isNegated = SkipName("not");
        int line = Current.Line;
        string name = ParseDottedName();
        CallArguments arguments = CallArguments.None;
        if (Current.IsOperator("("))
        {
            arguments = ParseArguments();
        }
        else if ((Current.Kind is TokenKind.Name or TokenKind.Text or TokenKind.Integer or TokenKind.Float || Current.IsOperator("[") || Current.IsOperator("{"))
            && !(Current.IsName("else") || Current.IsName("or") || Current.IsName("and")))
        {
            arguments = Current.IsName("is") ? throw Unexpected("tests with 'is' cannot be chained") : new([ParsePostfix(ParsePrimary())], [], null, null);
        }

        Expression test = Checked(new TestExpression(value, name, arguments, line));
        return isNegated ? Checked(new Unary("not", test)) : test;
    }

    private string ParseDottedName()
    {
        string name = ExpectName();
        while (SkipOperator("."))
        {
            name += "." + ExpectName();
        }

        return name;
    }

    private List<T> ParseItems<T>(string end, Func<T> parse)
    {
        List<T> items = [];
        while (!Current.IsOperator(end))
        {
            if (items.Count > 0)
            {
                Expect(",");
            }

            if (Current.IsOperator(end))
            {
                break;
            }

            items.Add(parse());
        }

        Expect(end);
        return items;
    }

    private (Expression Key, Expression Value) ParsePair()
    {
        Expression key = ParseExpression();
        Expect(":");
        return (key, ParseExpression());
    }

    private Expression ParseSubscript(Expression owner)
    {
        List<Expression> keys = [];
        Expression?[]? slice = null;
        while (!Current.IsOperator("]"))
        {
            if (keys.Count > 0 || slice is not null)
            {
                Expect(",");
            }

            Expression? first = Current.IsOperator(":") ? null : ParseExpression();
            if (!Current.IsOperator(":"))
            {
                keys.Add(first!);
                continue;
            }

            slice = slice is null && keys.Count == 0 ? [first, Bound(), Bound()] : throw Unexpected("a slice stands alone in its brackets");
        }

        Expect("]");
        return slice is not null ? keys.Count == 0 ? new SliceExpression(owner, slice[0], slice[1], slice[2]) : throw Unexpected("a slice stands alone in its brackets")
            : new ElementExpression(owner, keys.Count == 1 ? keys[0] : new ListExpression(keys, isTuple: true));

        Expression? Bound() => SkipOperator(":") && !Current.IsOperator(":") && !Current.IsOperator("]") && !Current.IsOperator(",") ? ParseExpression() : null;
    }

    private CallArguments ParseArguments()
    {
        Expect("(");
        List<Expression> positional = [];
        List<(string Name, Expression Value)> named = [];
        Expression? rest = null, namedRest = null;
        bool needsComma = false;
        while (!Current.IsOperator(")"))
        {
            if (needsComma)
            {
                Expect(",");
                if (Current.IsOperator(")"))
                {
                    break;
                }
            }

            if (SkipOperator("*"))
            {
                rest = rest is null && namedRest is null ? ParseExpression() : throw Unexpected("invalid syntax for a call");
            }
            else if (SkipOperator("**"))
            {
                namedRest = namedRest is null ? ParseExpression() : throw Unexpected("invalid syntax for a call");
            }
            else if (Current.Kind == TokenKind.Name && tokens[at + 1].IsOperator("="))
            {
                string name = Take().Text;
                Take();
                named.Add(namedRest is null && named.TrueForAll(pair => pair.Name != name) ? (name, ParseExpression()) : throw Unexpected("invalid syntax for a call"));
            }
            else
            {
                positional.Add(rest is null && namedRest is null && named.Count == 0 ? ParseExpression() : throw Unexpected("invalid syntax for a call"));
            }

            needsComma = true;
        }

        Expect(")");
        return new(positional, named, rest, namedRest);
    }
}
