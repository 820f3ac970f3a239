using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Gateway.Experts;

/// <summary>
/// Renders the chat templates of uploaded models in a child process. A template is a program: if it exceeds a limit, its process is killed, and the
/// next rendering starts another. Thread-safe; one rendering at a time.
/// </summary>
public sealed class TemplateWorker(ChildProgram program, ChildLimits limits) : ITemplateRenderer, IDisposable
{
    // Time to start on a busy machine.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Lock childLock = new();
    private LimitedChild? child;
    private bool isDisposed;

    /// <summary>Default limits: a second and 512 MiB.</summary>
    public static ChildLimits UsualLimits { get; } = new(TimeSpan.FromSeconds(1), 512 << 20);

    /// <summary>Starts the process before the first rendering.</summary>
    public void Start()
    {
        lock (childLock)
        {
            Child();
        }
    }

    public void Dispose()
    {
        lock (childLock)
        {
            isDisposed = true;
            EndChild();
        }
    }

    /// <exception cref="EngineException">InvalidValue (messages): the template refuses the messages, or exceeds a limit.</exception>
    public string Render(TemplateRequest request)
    {
        lock (childLock)
        {
            try
            {
                string line = Child().Ask(JsonSerializer.Serialize(request, ChildJson.Default.TemplateRequest));
                ChildAnswer answer = JsonSerializer.Deserialize(line, ChildJson.Default.ChildAnswer)!;
                return answer.Text ?? throw new EngineException(EngineError.InvalidValue, answer.Error!, "messages", new InvalidOperationException(answer.Error));
            }
            catch (ChildException error)
            {
                EndChild();
                throw new EngineException(EngineError.InvalidValue, $"The chat template cannot be rendered, since it {error.Message}.", "messages", error);
            }
        }
    }

    /// <summary>The child's loop. It ends when its input ends.</summary>
    internal static void Serve()
    {
        Console.Out.WriteLine("{}");
        Console.Out.Flush();
        while (Console.In.ReadLine() is { } line)
        {
            TemplateRequest request = JsonSerializer.Deserialize(line, ChildJson.Default.TemplateRequest)!;
            ChildAnswer answer;
            try
            {
                answer = new(Text: JinjaRenderer.For(request.Begin, request.End).Render(request.Template, request.Messages, request.AddGenerationPrompt));
            }
            catch (EngineException error)
            {
                answer = new(error.Message);
            }

            Console.Out.WriteLine(JsonSerializer.Serialize(answer, ChildJson.Default.ChildAnswer));
            Console.Out.Flush();
        }
    }

    private LimitedChild Child()
    {
        ObjectDisposedException.ThrowIf(isDisposed, this);
        if (child is not { HasEnded: false })
        {
            EndChild();
            child = new(program, limits, Path.Combine(Path.GetTempPath(), $"proxytune-templates-{Guid.NewGuid():N}"), ChildCommand.Templates);
            child.Ask(null, Patience);
        }

        return child;
    }

    private void EndChild()
    {
        child?.Dispose();
        child = null;
    }
}
