using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Gateway.Experts;

/// <summary>
/// Renders the chat templates of uploaded models in child processes, one for each template that is in use. A template is a program: if it exceeds a
/// limit, its process is killed, and its next rendering starts another. Thread-safe; one rendering of a template at a time, so that a slow template
/// delays no other.
/// </summary>
public sealed class TemplateWorker(ChildProgram program, ChildLimits limits) : ITemplateRenderer, IDisposable
{
    /// <summary>The largest number of processes that wait for their next rendering. The one that was used longest ago ends first.</summary>
    public const int MaxIdle = 4;

    /// <summary>The largest number of requests that wait for one template.</summary>
    public const int MaxWaiting = 16;

    // Time to start on a busy machine.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Lock gate = new();
    private readonly Dictionary<string, OneTemplate> templates = [];
    private long uses;
    private bool isDisposed;

    /// <summary>Default limits: a second and 512 MiB.</summary>
    public static ChildLimits UsualLimits { get; } = new(TimeSpan.FromSeconds(1), 512 << 20);

    public void Dispose()
    {
        OneTemplate[] all;
        lock (gate)
        {
            isDisposed = true;
            all = [.. templates.Values];
            templates.Clear();
        }

        foreach (OneTemplate template in all)
        {
            lock (template.Gate)
            {
                template.EndChild();
            }
        }
    }

    /// <exception cref="EngineException">InvalidValue (messages): the template refuses the messages, or exceeds a limit; QueueFull: too many requests wait for it.</exception>
    public string Render(TemplateRequest request)
    {
        OneTemplate template = Take(request.Template);
        try
        {
            lock (template.Gate)
            {
                return Render(template, request);
            }
        }
        finally
        {
            Return(template);
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

    private string Render(OneTemplate template, TemplateRequest request)
    {
        try
        {
            ObjectDisposedException.ThrowIf(isDisposed, this);
            if (template.Child is not { HasEnded: false })
            {
                template.EndChild();
                template.Child = new(program, limits, Path.Combine(Path.GetTempPath(), $"proxytune-templates-{Guid.NewGuid():N}"), ChildCommand.Templates);
                template.Child.Ask(null, Patience);
            }

            string line = template.Child.Ask(JsonSerializer.Serialize(request, ChildJson.Default.TemplateRequest));
            ChildAnswer answer = JsonSerializer.Deserialize(line, ChildJson.Default.ChildAnswer)!;
            return answer.Text ?? throw new EngineException(EngineError.InvalidValue, answer.Error!, "messages", new InvalidOperationException(answer.Error));
        }
        catch (ChildException error)
        {
            template.EndChild();
            throw new EngineException(EngineError.InvalidValue, $"The chat template cannot be rendered, since it {error.Message}.", "messages", error);
        }
    }

    private OneTemplate Take(string source)
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(isDisposed, this);
            if (!templates.TryGetValue(source, out OneTemplate? template))
            {
                templates[source] = template = new(source);
            }

            if (template.Users > MaxWaiting)
            {
                throw new EngineException(EngineError.QueueFull, $"{template.Users} requests use the chat template of this model at the same time, which is the maximum. Try again later.");
            }

            template.Users++;
            return template;
        }
    }

    private void Return(OneTemplate template)
    {
        OneTemplate? oldest = null;
        lock (gate)
        {
            template.Users--;
            template.UsedAt = ++uses;
            OneTemplate[] idle = [.. templates.Values.Where(other => other.Users == 0)];
            if (idle.Length > MaxIdle)
            {
                oldest = idle.MinBy(other => other.UsedAt)!;
                templates.Remove(oldest.Source);
            }
        }

        if (oldest is not null)
        {
            lock (oldest.Gate)
            {
                oldest.EndChild();
            }
        }
    }

    /// <summary>A template and its process.</summary>
    private sealed class OneTemplate(string source)
    {
        public string Source => source;

        /// <summary>Held during a rendering, and guards <see cref="Child"/>.</summary>
        public Lock Gate { get; } = new();

        public LimitedChild? Child { get; set; }

        /// <summary>The number of requests that render it or wait for it.</summary>
        public int Users { get; set; }

        public long UsedAt { get; set; }

        public void EndChild()
        {
            Child?.Dispose();
            Child = null;
        }
    }
}
