using System.Diagnostics;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Text;
using ProxyTune.Testing;
using Xunit.Abstractions;

namespace ProxyTune.Decoding.Tests.Text;

/// <summary>
/// Compares every rendering with what transformers gave for published templates and for snippets of the language. The data is not part of the checkout;
/// the tests take whatever files they find.
/// </summary>
public sealed class ReferenceTests(ITestOutputHelper output)
{
    [SkippableFact]
    public void Render_PublishedTemplates_EqualsTransformers()
    {
        string folder = Folder();
        using JsonDocument shared = Open(Path.Combine(folder, "conversations.json"));
        JsonElement conversations = shared.RootElement.GetProperty("conversations"), tools = shared.RootElement.GetProperty("tools");
        TimeProvider clock = Clock(shared);
        List<string> wrong = [], refused = [];
        int templates = 0, total = 0;
        foreach (string file in Directory.GetFiles(folder, "*.json").Order(StringComparer.Ordinal))
        {
            using JsonDocument document = Open(file);
            if (!document.RootElement.TryGetProperty("special_tokens", out JsonElement tokens))
            {
                continue;
            }

            templates++;
            ChatTemplate template;
            try
            {
                template = ChatTemplate.Create(document.RootElement.GetProperty("template").GetString()!, tokens.EnumerateObject().ToDictionary(t => t.Name, t => JsonValues.Read(t.Value)), clock);
            }
            catch (EngineException error)
            {
                refused.Add($"{Path.GetFileName(file)}: {error.Message}");
                continue;
            }

            int equal = 0, cases = 0;
            foreach (JsonElement one in document.RootElement.GetProperty("cases").EnumerateArray())
            {
                cases++;
                string? problem = Compare(one, () => template.Render(Input(one, conversations, tools)), "The chat template refuses the messages: ");
                equal += problem is null ? 1 : 0;
                if (problem is not null)
                {
                    wrong.Add($"{Path.GetFileName(file)} {cases - 1} {one.GetProperty("conversation")}: {problem}");
                }
            }

            total += cases;
            output.WriteLine($"{Path.GetFileName(file)}: {equal} of {cases}");
        }

        output.WriteLine($"{templates} templates, {total} cases, {wrong.Count} different, {refused.Count} templates refused\n{string.Join('\n', refused)}");
        Assert.True(templates > 0, $"No templates in {folder}.");
        Assert.True(refused.Count <= 0.02 * templates, $"Refused:\n{string.Join('\n', refused)}");
        Assert.True(wrong.Count == 0, $"{wrong.Count} of {total}:\n{string.Join('\n', wrong.Take(40))}");
    }

    [SkippableFact]
    public void Render_Snippets_EqualsJinja()
    {
        using JsonDocument document = Open(Path.Combine(Folder(), "language.json"));
        TimeProvider clock = Clock(document);
        List<string> wrong = [], refused = [];
        int total = 0;
        foreach (JsonElement one in document.RootElement.GetProperty("cases").EnumerateArray())
        {
            total++;
            Template template;
            try
            {
                template = Template.Parse(one.GetProperty("template").GetString()!);
            }
            catch (TemplateException error)
            {
                if (one.TryGetProperty("result", out _))
                {
                    (error.Fault == TemplateFault.Unsupported ? refused : wrong).Add($"{one.GetProperty("id")}: {error.Message}");
                }

                continue;
            }

            string? problem = Compare(one, () => template.Render(one.GetProperty("context").EnumerateObject().ToDictionary(v => v.Name, v => JsonValues.Read(v.Value)), clock), "");
            if (problem is not null)
            {
                wrong.Add($"{one.GetProperty("id")} {one.GetProperty("template")}\n  {problem}");
            }
        }

        output.WriteLine($"{total} snippets, {wrong.Count} different, {refused.Count} refused\n{string.Join('\n', refused)}");
        Assert.True(refused.Count <= 0.01 * total, $"Refused:\n{string.Join('\n', refused)}");
        Assert.True(wrong.Count == 0, $"{wrong.Count} of {total}:\n{string.Join('\n', wrong.Take(60))}");
    }

    [SkippableFact]
    public void Render_HostileTemplates_AreStoppedByALimit()
    {
        using JsonDocument document = Open(Path.Combine(Folder(), "hostile.json"));
        Dictionary<string, object> context = document.RootElement.GetProperty("context").EnumerateObject().ToDictionary(v => v.Name, v => JsonValues.Read(v.Value));
        List<string> wrong = [];
        (double Milliseconds, string Id) slowest = default;
        (long Bytes, string Id) largest = default;
        foreach (JsonElement one in document.RootElement.GetProperty("cases").EnumerateArray())
        {
            string id = one.GetProperty("id").GetString()!, source = one.GetProperty("template").GetString()!;
            GC.Collect();
            long before = GC.GetAllocatedBytesForCurrentThread(), start = Stopwatch.GetTimestamp();
            string outcome;
            try
            {
                outcome = $"gave {Template.Parse(source).Render(context, TimeProvider.System).Length} characters";
            }
            catch (TemplateException error)
            {
                outcome = error.Fault is TemplateFault.Limit or TemplateFault.Syntax or TemplateFault.Unsupported ? "" : error.Message;
            }

            double milliseconds = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            long bytes = GC.GetAllocatedBytesForCurrentThread() - before;
            slowest = milliseconds > slowest.Milliseconds ? (milliseconds, id) : slowest;
            largest = bytes > largest.Bytes ? (bytes, id) : largest;
            if (outcome.Length > 0 || milliseconds > 1000 || bytes > 100_000_000)
            {
                wrong.Add($"{id}: {outcome}, {milliseconds:0} ms, {bytes / 1e6:0} MB");
            }
        }

        output.WriteLine($"slowest {slowest.Milliseconds:0} ms ({slowest.Id}), most allocated {largest.Bytes / 1e6:0} MB ({largest.Id})");
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    private static string? Compare(JsonElement expected, Func<string> render, string prefix)
    {
        string text;
        try
        {
            text = render();
        }
        catch (Exception error) when (error is EngineException or TemplateException)
        {
            TemplateFault? fault = ((error as TemplateException) ?? (error.InnerException as TemplateException))?.Fault;
            return expected.TryGetProperty("result", out JsonElement result) ? $"fails with {error.Message}\n  instead of {Shown(result)}"
                : !expected.TryGetProperty("raised_by_template", out _) ? null
                : fault == TemplateFault.Raised && error.Message == prefix + expected.GetProperty("error").GetString() ? null
                : $"raises {error.Message}\n  instead of {Shown(expected.GetProperty("error"))}";
        }

        catch (Exception error)
        {
            return $"crashes with {error}";
        }

        return !expected.TryGetProperty("result", out JsonElement wanted) ? $"gives {Shown(text)}\n  instead of {expected.GetProperty("error")}"
            : text == wanted.GetString() ? null
            : $"gives {Shown(text)}\n  instead of {Shown(wanted)}";
    }

    private static string Shown(object text) => JsonSerializer.Serialize(text.ToString()) is var json && json.Length > 3000 ? json[..3000] : json;

    private static TemplateInput Input(JsonElement one, JsonElement conversations, JsonElement tools) => new()
    {
        Messages = conversations.GetProperty(one.GetProperty("conversation").GetString()!),
        Tools = one.GetProperty("tools").GetString() is { } id ? tools.GetProperty(id) : null,
        Documents = one.GetProperty("kwargs").TryGetProperty("documents", out JsonElement documents) ? documents : null,
        Variables = one.GetProperty("kwargs").EnumerateObject().Where(v => v.Name != "documents").ToDictionary(v => v.Name, v => v.Value),
        AddGenerationPrompt = one.GetProperty("add_generation_prompt").GetBoolean(),
        ContinueFinalMessage = one.GetProperty("continue_final_message").GetBoolean(),
    };

    private static FakeTimeProvider Clock(JsonDocument document) => new(new DateTimeOffset(document.RootElement.GetProperty("clock").GetDateTime(), TimeSpan.Zero));

    private static JsonDocument Open(string path) => JsonDocument.Parse(File.ReadAllBytes(path));

    private static string Folder()
    {
        string? folder = SharedData.Folder("templates");
        Skip.If(folder is null, "No templates in ../shared/data beside the checkout, nor where REFERENCE_DATA says.");
        return folder!;
    }
}
