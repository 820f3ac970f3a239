using System.Runtime.CompilerServices;
using System.Text;

namespace ProxyTune.Decoding.Text;

/// <summary>What one rendering of a template may take.</summary>
internal sealed record RenderingLimits
{
    public static RenderingLimits Default { get; } = new();

    /// <summary>The most expressions, statements and elements that are visited; and the same for each character of the input.</summary>
    public long Steps { get; init; } = 1_000_000;

    public long StepsOfACharacter { get; init; } = 50;

    /// <summary>The most bytes of texts and lists that are built, all together, whether or not they are still in use.</summary>
    public long Memory { get; init; } = 48 << 20;

    public long MemoryOfACharacter { get; init; } = 100;

    /// <summary>The most characters of output.</summary>
    public long Output { get; init; } = 4 << 20;

    public long OutputOfACharacter { get; init; } = 8;

    /// <summary>The deepest nesting of calls, and of values that are printed or compared.</summary>
    public int Depth { get; init; } = 220;
}

/// <summary>One rendering: its variables, its output, and what it has taken of the limits.</summary>
/// <param name="variables">What the template finds from outside, functions included.</param>
/// <param name="inputSize">Characters and values of the input; long conversations may take more.</param>
internal sealed class Rendering(IReadOnlyDictionary<string, object> variables, RenderingLimits limits, long inputSize, TimeProvider clock)
{
    private readonly long maxSteps = limits.Steps + (limits.StepsOfACharacter * inputSize);
    private readonly long maxMemory = limits.Memory + (limits.MemoryOfACharacter * inputSize);
    private readonly long maxOutput = limits.Output + (limits.OutputOfACharacter * inputSize);
    private readonly long allocatedBefore = GC.GetAllocatedBytesForCurrentThread();
    private long steps, memory, written;
    private int depth;

    public TimeProvider Clock => clock;

    /// <summary>What the top level of the template has set; blocks see it.</summary>
    public Dictionary<string, object?> Exported { get; } = [];

    public IReadOnlyDictionary<string, BlockStatement> Blocks { get; init; } = new Dictionary<string, BlockStatement>();

    /// <summary>Whether filters and macros escape what they give, as a block autoescape asks.</summary>
    public bool Escapes { get; set; }

    /// <summary>Where statements write; macros and blocks that give a value put another one in its place.</summary>
    public StringBuilder Output { get; set; } = new();

    /// <summary>The value of a variable; null where there is none.</summary>
    public object? Find(string name) => Exported.TryGetValue(name, out object? set) ? set : variables.GetValueOrDefault(name);

    public void Step(long count = 1)
    {
        long before = steps >> 10;
        steps += count;
        if (steps > maxSteps || count < 0)
        {
            throw TemplateException.Limit($"takes more than {maxSteps} steps");
        }

        // What is counted before it is built leaves out small objects; the runtime counts them all.
        if (steps >> 10 != before && GC.GetAllocatedBytesForCurrentThread() - allocatedBefore > maxMemory + (maxMemory / 2))
        {
            Build(-1);
        }
    }

    /// <summary>Counts a text or list before it is built.</summary>
    public void Build(long bytes)
    {
        memory += bytes;
        if (memory > maxMemory || bytes < 0)
        {
            throw TemplateException.Limit($"builds more than {maxMemory >> 20} MiB of texts and lists");
        }
    }

    /// <summary>Counts the characters of a text before it is built.</summary>
    public void BuildText(double characters)
    {
        if (characters > maxMemory)
        {
            Build(-1);
        }

        Build(2 * (long)Math.Max(characters, 0));
    }

    public string Join(string a, string b)
    {
        BuildText(a.Length + (double)b.Length);
        return a + b;
    }

    /// <summary>Counts a value that has been built.</summary>
    public object Built(object value)
    {
        Build(value switch
        {
            string text => 32 + (2L * text.Length),
            ListValue list => 64 + (8L * list.Items.Count),
            TupleValue tuple => 64 + (8L * tuple.Items.Length),
            DictValue dict => 128 + (64L * dict.Items.Count),
            Markup markup => 64 + (2L * markup.Text.Length),
            _ => 32,
        });
        return value;
    }

    /// <summary>Counts the work of reading a value as a whole.</summary>
    public void Reads(object value)
    {
        int length = value switch { string text => text.Length, Markup markup => markup.Text.Length, _ => 0 };
        if (length > 256)
        {
            Step(length >> 8);
        }
    }

    public void Write(string text)
    {
        written += text.Length;
        if (written > maxOutput)
        {
            throw TemplateException.Limit($"writes more than {maxOutput} characters");
        }

        Output.Append(text);
    }

    /// <summary>One level deeper: a call, or a value in a value.</summary>
    public void Enter()
    {
        if (++depth > limits.Depth || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw TemplateException.Limit($"nests deeper than {limits.Depth} levels");
        }
    }

    public void Leave() => depth--;

    /// <summary>Runs something with an output of its own.</summary>
    /// <returns>What it wrote; null where a break or continue left it.</returns>
    public string? Capture(Func<Flow> body)
    {
        StringBuilder outer = Output;
        Output = new();
        try
        {
            Flow flow = body();
            Build(2L * Output.Length);
            return flow == Flow.Next ? Output.ToString() : null;
        }
        finally
        {
            Output = outer;
        }
    }
}
