namespace ProxyTune.Decoding.Text;

/// <summary>Reads the statements of a template.</summary>
internal sealed class TemplateParser : ExpressionParser
{
    private bool hasScopedBlock;

    private TemplateParser(List<Token> tokens)
        : base(tokens)
    {
    }

    /// <summary>The blocks of the template by name.</summary>
    private Dictionary<string, BlockStatement> Blocks { get; } = [];

    /// <exception cref="TemplateException">The template is no Jinja, or uses something that is not offered here.</exception>
    public static (List<Statement> Body, Dictionary<string, BlockStatement> Blocks) Parse(string source)
    {
        TemplateParser parser = new(Lexer.Read(source));
        return (parser.ParseBody(), parser.Blocks);
    }

    // Reads up to a tag with one of the names, which stays; or to the end of the template.
    private List<Statement> ParseBody(params string[] ends)
    {
        List<Statement> body = [];
        List<(string? Text, Expression? Value)> printed = [];
        while (true)
        {
            Token token = Take();
            switch (token.Kind)
            {
                case TokenKind.Data:
                    printed.Add((token.Text, null));
                    break;
                case TokenKind.PrintBegin:
                    printed.Add((null, ParseTuple()));
                    Expect(TokenKind.PrintEnd);
                    break;
                case TokenKind.BlockBegin:
                    Flush();
                    if (ends.Any(Current.IsName))
                    {
                        return body;
                    }

                    body.Add(Nested(() => ParseStatement(ends)));
                    Expect(TokenKind.BlockEnd);
                    break;
                default:
                    Flush();
                    return ends.Length == 0 ? body : throw TemplateException.Syntax($"the template ends before '{string.Join("' or '", ends)}'", token.Line);
            }
        }

        void Flush()
        {
            if (printed.Count > 0)
            {
                body.Add(new Output(printed, Escapes));
                printed = [];
            }
        }
    }

    // The end of the opening tag, the body, and the name of the tag that ends it.
    private List<Statement> ParseBlock(params string[] ends)
    {
        SkipOperator(":");
        Expect(TokenKind.BlockEnd);
        return ParseBody(ends);
    }

    private List<Statement> ParseWhole(string end)
    {
        List<Statement> body = ParseBlock(end);
        Take();
        return body;
    }

    private Statement ParseStatement(string[] ends)
    {
        Token tag = Take();
        return tag.Kind != TokenKind.Name ? throw TemplateException.Syntax($"expected a tag, got '{tag}'", tag.Line) : tag.Text switch
        {
            "for" => ParseFor(tag.Line),
            "if" => ParseIf(),
            "set" => ParseSet(),
            "macro" => new MacroStatement(ExpectName(), ParseMacro("endmacro", tag.Line, hasSignature: true)),
            "call" => ParseCallBlock(tag.Line),
            "generation" => new CallBlock(null, new([], [], ParseWhole("endgeneration"), tag.Line)),
            "filter" => ParseFilter(null, startsInline: true) is { } filter ? new FilterBlock(filter, ParseWhole("endfilter"), Escapes) : throw Unexpected("expected a filter"),
            "with" => ParseWith(),
            "autoescape" => ParseAutoEscape(),
            "block" => ParseNamedBlock(),
            "print" => ParsePrint(),
            "break" => new Jump(Flow.Break, tag.Line),
            "continue" => new Jump(Flow.Continue, tag.Line),
            "include" or "extends" or "import" or "from" => ParseImport(tag.Text),
            "do" or "trans" or "debug" => throw TemplateException.Unsupported($"the tag '{tag.Text}' (line {tag.Line})"),
            _ => throw TemplateException.Syntax($"unknown tag '{tag.Text}'" + (ends.Length > 0 ? $" where '{string.Join("' or '", ends)}' is expected" : ""), tag.Line),
        };
    }

    private Statement ParseFor(int line)
    {
        bool hadBlock = hasScopedBlock;
        hasScopedBlock = false;
        Expression target = ParseTarget(isParameter: true, end: "in");
        if (!SkipName("in"))
        {
            throw Unexpected($"expected 'in', got '{Current}'");
        }

        Expression iterable = ParseTuple(withCondition: false, end: "recursive");
        Expression? test = SkipName("if") ? ParseExpression() : null;
        bool isRecursive = SkipName("recursive");
        List<Statement> body = ParseBlock("endfor", "else");
        List<Statement> otherwise = Take().Text == "else" ? ParseWhole("endfor") : [];
        Statement loop = new For(target, iterable, test, isRecursive, body, otherwise, Escapes, hasScopedBlock, line);
        hasScopedBlock |= hadBlock;
        return loop;
    }

    private If ParseIf()
    {
        List<(Expression Test, List<Statement> Body)> branches = [];
        List<Statement> otherwise = [];
        while (true)
        {
            branches.Add((ParseTuple(withCondition: false), ParseBlock("elif", "else", "endif")));
            string next = Take().Text;
            if (next == "elif")
            {
                continue;
            }

            otherwise = next == "else" ? ParseWhole("endif") : otherwise;
            return new If(branches, otherwise);
        }
    }

    private Statement ParseSet()
    {
        Expression target = ParseTarget(isParameter: false, withNamespace: true);
        return SkipOperator("=") ? new Set(target, ParseTuple())
            : ParseFilter(null) is var filter ? new SetBlock(target, filter, ParseWhole("endset"), Escapes) : null!;
    }

    private MacroBody ParseMacro(string end, int line, bool hasSignature)
    {
        List<string> parameters = [];
        List<Expression> defaults = [];
        if (hasSignature)
        {
            Expect("(");
            while (!Current.IsOperator(")"))
            {
                if (parameters.Count > 0)
                {
                    Expect(",");
                }

                Expression parameter = ParseTarget(isParameter: true, nameOnly: true);
                if (SkipOperator("="))
                {
                    defaults.Add(ParseExpression());
                }
                else if (defaults.Count > 0)
                {
                    throw Unexpected("non-default argument follows default argument");
                }

                parameters.Add(((Name)parameter).Text);
            }

            Expect(")");
        }

        return end.Length == 0 ? new(parameters, defaults, [], line) : new(parameters, defaults, ParseWhole(end), line);
    }

    private CallBlock ParseCallBlock(int line)
    {
        (List<string> parameters, List<Expression> defaults) = ParseSignature(line);
        CallExpression call = ParseExpression() as CallExpression ?? throw Unexpected("expected a call");
        return new(call, new(parameters, defaults, ParseWhole("endcall"), line));
    }

    private (List<string> Parameters, List<Expression> Defaults) ParseSignature(int line)
    {
        if (!Current.IsOperator("("))
        {
            return ([], []);
        }

        MacroBody signature = ParseMacro("", line, hasSignature: true);
        return ([.. signature.Parameters], signature.Defaults);
    }

    private With ParseWith()
    {
        List<(Expression Target, Expression Value)> variables = [];
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (variables.Count > 0)
            {
                Expect(",");
            }

            Expression target = ParseTarget(isParameter: true);
            Expect("=");
            variables.Add((target, ParseExpression()));
        }

        return new(variables, ParseWhole("endwith"));
    }

    private AutoEscape ParseAutoEscape()
    {
        bool? before = Escapes;
        Expression isOn = ParseExpression();
        Escapes = isOn is Constant constant ? Operators.IsTrue(constant.Value) : null;
        List<Statement> body = ParseWhole("endautoescape");
        Escapes = before;
        return new(isOn, body);
    }

    private BlockStatement ParseNamedBlock()
    {
        int line = Current.Line;
        string name = ExpectName();
        bool isScoped = SkipName("scoped");
        bool isRequired = SkipName("required");
        List<Statement> body = ParseWhole("endblock");
        SkipName(name);
        BlockStatement block = new(name, isScoped, isRequired, body, Escapes);
        hasScopedBlock |= isScoped;
        return Blocks.TryAdd(name, block) ? block : throw TemplateException.Syntax($"block '{name}' defined twice", line);
    }

    private Output ParsePrint()
    {
        List<(string? Text, Expression? Value)> values = [];
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (values.Count > 0)
            {
                Expect(",");
            }

            values.Add((null, ParseExpression()));
        }

        return new(values, Escapes);
    }

    private Import ParseImport(string tag)
    {
        Expression template = ParseExpression();
        List<string> targets = [];
        bool ignoresMissing = false;
        if (tag == "include")
        {
            ignoresMissing = SkipName("ignore") && (SkipName("missing") ? true : throw Unexpected("expected 'missing'"));
        }
        else if (tag == "import")
        {
            targets.Add(SkipName("as") ? ExpectName() : throw Unexpected("expected 'as'"));
        }
        else if (tag == "from")
        {
            if (!SkipName("import"))
            {
                throw Unexpected("expected 'import'");
            }

            do
            {
                string name = ExpectName();
                targets.Add(SkipName("as") ? ExpectName() : name);
            }
            while (SkipOperator(","));
        }

        if (SkipName("with") || SkipName("without"))
        {
            _ = SkipName("context") ? true : throw Unexpected("expected 'context'");
        }

        return new(tag, template, targets, ignoresMissing);
    }

    private Expression ParseTarget(bool isParameter, string? end = null, bool withNamespace = false, bool nameOnly = false)
    {
        Expression target = nameOnly ? new Name(ExpectName()) : ParseTuple(end: end, parse: () => ParsePrimary(withNamespace));
        if (nameOnly && target is Name { Text: "true" or "True" or "false" or "False" or "none" or "None" })
        {
            throw Unexpected("a constant cannot be set");
        }

        return target.AsTarget(isParameter) is { } assignable ? assignable : throw Unexpected("only a name, or names with commas between them, can be set");
    }
}
