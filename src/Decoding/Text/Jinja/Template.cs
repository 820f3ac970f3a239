namespace ProxyTune.Decoding.Text;

/// <summary>
/// A template in Jinja's language, as its immutable sandbox (jinja2 3.1.6) renders it in transformers: blocks trimmed, loop controls, generation blocks,
/// tojson as json.dumps, raise_exception and strftime_now. Thread-safe.
/// </summary>
/// <remarks>An interpreter of its own, so that a template of an unknown author is stopped by limits of steps, depth, memory and output, and reaches nothing else.</remarks>
internal sealed class Template
{
    /// <summary>The longest template.</summary>
    public const int MaxLength = 200_000;

    private static readonly IReadOnlyDictionary<string, object> Functions = Globals.All;

    private readonly List<Statement> body;
    private readonly Dictionary<string, BlockStatement> blocks;
    private readonly Symbols symbols = new(null);
    private readonly Slot? self;

    private Template(List<Statement> body, Dictionary<string, BlockStatement> blocks)
    {
        (this.body, this.blocks) = (body, blocks);
        if (Statement.Undeclared(body, "self").Count > 0)
        {
            symbols.Parameter("self");
            self = symbols.Reference("self");
        }

        Statements.Analyze(body, symbols);
        Statements.Resolve(body, new(symbols, IsChecked: true, IsTop: true, InLoop: false));
        foreach (BlockStatement block in blocks.Values)
        {
            block.ResolveBody();
        }
    }

    /// <exception cref="TemplateException">It is no Jinja, uses something that is not offered here (named in the message), or is too long or too deep.</exception>
    public static Template Parse(string source)
    {
        if (source.Length > MaxLength)
        {
            throw TemplateException.Limit($"has {source.Length} characters; at most {MaxLength} are allowed");
        }

        (List<Statement> body, Dictionary<string, BlockStatement> blocks) = TemplateParser.Parse(source);
        return new(body, blocks);
    }

    /// <param name="variables">From <see cref="JsonValues"/>; they win over functions of the same name.</param>
    /// <exception cref="TemplateException">An operation fails, the template raises an exception, or a limit is exceeded.</exception>
    public string Render(IReadOnlyDictionary<string, object> variables, TimeProvider clock, RenderingLimits? limits = null)
    {
        Dictionary<string, object> all = new(Functions);
        long size = 0;
        foreach ((string name, object value) in variables)
        {
            all[name] = value;
            size += JsonValues.Size(value);
        }

        Rendering rendering = new(all, limits ?? RenderingLimits.Default, size, clock) { Blocks = blocks };
        Scope scope = new(rendering, null, symbols);
        if (self is { } slot)
        {
            scope[slot] = new BlockNames(blocks);
        }

        scope.Enter();
        Statements.Run(body, scope);
        return rendering.Output.ToString();
    }
}
