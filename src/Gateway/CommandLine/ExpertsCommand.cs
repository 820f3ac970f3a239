using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using ProxyTune.Gateway.Experts;
using ProxyTune.Gateway.Requests;

namespace ProxyTune.Gateway.CommandLine;

/// <summary>The command <c>experts ...</c>: a client of /v1/experts of a running server, on this machine or another.</summary>
internal static class ExpertsCommand
{
    public const string Name = "experts";

    private static readonly Option<string> Url = new("--url")
    {
        Description = "Where the server is.",
        HelpName = "URL",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable("PROXYTUNE_URL") ?? "http://127.0.0.1:8080",
        Recursive = true,
    };

    private static readonly Option<string?> Key = new("--key")
    {
        Description = "The operators' key, where the server has one; also in PROXYTUNE_KEY.",
        HelpName = "KEY",
        Recursive = true,
    };

    /// <returns>0, or 1 if the server refused; its message is then on standard error.</returns>
    public static Task<int> RunAsync(string[] arguments)
    {
        Command root = new(Name, "Uploads, serves and ports experts of a running server.")
        {
            Url, Key,
            Upload(),
            Call("list", "All experts.", null, (server, _) => server.GetAsync("")),
            Call("show", "One expert: where it fits, and what is served of it.", Id, (server, arguments) => server.GetAsync(arguments.GetValue(Id)!)),
            Serve(), Retire(), Port(),
            Call("rollback", "Undo the last port of a patch.", Id, (server, arguments) => server.PostAsync($"{arguments.GetValue(Id)}/rollback", null)),
            Call("delete", "Remove an expert that is not served.", Id, (server, arguments) => server.DeleteAsync(arguments.GetValue(Id)!)),
        };
        return new RootCommand("ProxyTune") { root }.Parse(arguments).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
    }

    private static Argument<string> Id { get; } = new("id") { Description = "The expert's id." };

    private static Command Upload()
    {
        Argument<string> folder = new("path") { Description = "A folder, or a .zip file." };
        return Call("upload", "Upload a patch (PEFT) or a model (onnxruntime-genai); goes on where an earlier upload of the same files stopped.", Id, (server, arguments) =>
            ExpertUploader.RunAsync(server, arguments.GetValue(Id)!, arguments.GetValue(folder)!), folder);
    }

    private static Command Serve()
    {
        Option<string?> name = new("--name") { Description = "What clients will ask for; the id where absent.", HelpName = "NAME" };
        Option<string?> @base = new("--base") { Description = "The model folder that a patch is added to; the one that it was trained on where absent.", HelpName = "FOLDER" };
        Option<double?> weight = new("--weight") { Description = "Of the patch; 1 where absent.", HelpName = "NUMBER" };
        Option<string?> entry = new("--entry") { Description = "Instead: an entry as in catalog.json.", HelpName = "JSON" };
        Option<bool> ungated = new("--ungated") { Description = "Also where the patch was trained on other weights and has passed no evaluation." };
        return Call("serve", "Serve an expert.", Id, (server, arguments) => server.PostAsync($"{arguments.GetValue(Id)}/serve", JsonContent.Create(
            new ServeRequest
            {
                Name = arguments.GetValue(name),
                Base = arguments.GetValue(@base),
                Weight = arguments.GetValue(weight),
                Ungated = arguments.GetValue(ungated) ? true : null,
                Entry = arguments.GetValue(entry) is { } json ? JsonElement.Parse(json) : null,
            },
            ExpertsWire.Json.ServeRequest)), name, @base, weight, entry, ungated);
    }

    private static Command Retire()
    {
        Option<string?> name = new("--name") { Description = "One name; all of the expert's where absent.", HelpName = "NAME" };
        return Call("retire", "Stop serving an expert; running requests are not touched.", Id, (server, arguments) =>
            server.PostAsync($"{arguments.GetValue(Id)}/retire", JsonContent.Create(new RetireRequest { Name = arguments.GetValue(name) }, ExpertsWire.Json.RetireRequest)), name);
    }

    private static Command Port()
    {
        Option<string> @base = new("--base") { Description = "The model folder to port to.", HelpName = "FOLDER", Required = true };
        Option<string> task = new("--task") { Description = "Examples that the patch is judged by, a .jsonl file.", HelpName = "FILE", Required = true };
        Option<double?> atLeast = new("--at-least") { Description = "The share of the donor's gain that has to be kept; 0.9 where absent.", HelpName = "NUMBER" };
        Option<string?> name = new("--name") { Description = "A served model of the patch, to be moved to the base when it passes.", HelpName = "NAME" };
        return Call("port", "Judge a patch on another base, and wait for the result.", Id, async (server, arguments) =>
        {
            using MultipartFormDataContent form = new()
            {
                { new StringContent(arguments.GetValue(@base)!), "base" },
                { new StringContent("true"), "wait" },
                { new StreamContent(File.OpenRead(arguments.GetValue(task)!)), "task", Path.GetFileName(arguments.GetValue(task)!) },
            };
            if (arguments.GetValue(atLeast) is { } share)
            {
                form.Add(new StringContent(share.ToString(CultureInfo.InvariantCulture)), "at_least");
            }

            if (arguments.GetValue(name) is { } moved)
            {
                form.Add(new StringContent(moved), "name");
            }

            return await server.PostAsync($"{arguments.GetValue(Id)}/port", form);
        }, @base, task, atLeast, name);
    }

    private static Command Call(
        string name, string description, Argument<string>? id, Func<HttpClient, ParseResult, Task<HttpResponseMessage>> call, params Symbol[] symbols)
    {
        Command command = new(name, description);
        foreach (Symbol symbol in id is null ? symbols : [id, .. symbols])
        {
            if (symbol is Argument argument)
            {
                command.Add(argument);
            }
            else
            {
                command.Add((Option)symbol);
            }
        }

        command.SetAction(async (arguments, _) =>
        {
            using HttpClient server = new() { BaseAddress = new($"{arguments.GetValue(Url)!.TrimEnd('/')}/v1/experts/"), Timeout = Timeout.InfiniteTimeSpan };
            // Not the option's default value, because help would print the key.
            if ((arguments.GetValue(Key) ?? Environment.GetEnvironmentVariable("PROXYTUNE_KEY")) is { Length: > 0 } key)
            {
                server.DefaultRequestHeaders.Authorization = new("Bearer", key);
            }

            try
            {
                using HttpResponseMessage answer = await call(server, arguments);
                return await ReportAsync(answer);
            }
            catch (Exception error) when (error is HttpRequestException or IOException or UnauthorizedAccessException or JsonException)
            {
                await Console.Error.WriteLineAsync($"error: {error.Message}");
                return 1;
            }
        });
        return command;
    }

    private static async Task<int> ReportAsync(HttpResponseMessage answer)
    {
        string text = await answer.Content.ReadAsStringAsync();
        if (answer.IsSuccessStatusCode)
        {
            Console.WriteLine(Indented(text));
            return 0;
        }

        await Console.Error.WriteLineAsync($"error: {Message(text) ?? $"the server answered {(int)answer.StatusCode}: {text}"}");
        return 1;
    }

    private static string Indented(string text)
    {
        try
        {
            using JsonDocument json = JsonDocument.Parse(text);
            using MemoryStream stream = new();
            using (Utf8JsonWriter writer = new(stream, new() { Indented = true }))
            {
                json.WriteTo(writer);
            }

            return System.Text.Encoding.UTF8.GetString(stream.ToArray());
        }
        catch (JsonException)
        {
            return text;
        }
    }

    private static string? Message(string text)
    {
        try
        {
            return JsonSerializer.Deserialize(text, Wire.Json.ErrorBody)?.Error.Message;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
