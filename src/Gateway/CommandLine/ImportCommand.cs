using System.CommandLine;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Import;

namespace ProxyTune.Gateway.CommandLine;

/// <summary>The command <c>import PATH</c>: imports a model of others ahead of the start that serves it.</summary>
internal static class ImportCommand
{
    public const string Name = "import";

    /// <returns>0, or 1 if a model cannot be imported; the reason is then on standard error.</returns>
    public static Task<int> RunAsync(string[] arguments)
    {
        Argument<string> path = new("path") { Description = "A Hugging Face folder, a .gguf file, or a folder of these." };
        Option<string> precision = new("--precision") { Description = $"One of {string.Join(", ", ModelImport.Precisions)}.", HelpName = "PRECISION", DefaultValueFactory = _ => ModelImport.UsualPrecision };
        Option<string?> name = new("--name") { Description = "Name of the imported folder, under which it is served; the source's name where absent.", HelpName = "NAME" };
        Option<string?> into = new("--into") { Description = "The models folder to import into; the cache beside the source where absent.", HelpName = "FOLDER" };
        Option<bool> replace = new("--replace") { Description = "Replace a folder of that name." };
        Command command = new(Name, "Imports models as others publish them.") { path, precision, name, into, replace };
        command.SetAction(parsed => Run(parsed.GetValue(path)!, parsed.GetValue(precision)!, parsed.GetValue(name), parsed.GetValue(into), parsed.GetValue(replace)));
        return new RootCommand("ProxyTune") { command }.Parse(arguments).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
    }

    private static int Run(string path, string precision, string? name, string? into, bool replaces)
    {
        try
        {
            IReadOnlyList<ModelSource> sources = ModelSource.Find(path);
            if (sources.Count == 0)
            {
                throw new EngineException(EngineError.InvalidModelFolder, $"{path} holds no model to import; accepted are Hugging Face folders and .gguf files.");
            }

            if (name is not null && sources.Count > 1)
            {
                throw new EngineException(EngineError.InvalidValue, $"--name is '{name}', and {path} holds {sources.Count} models; accepted for one model.", "name");
            }

            foreach (ModelSource source in sources)
            {
                using ImportProgress progress = new(source.Name, Console.Error);
                string done = into is null && name is null
                    ? ModelImport.IntoCache(source, ModelImport.CacheFor(source), precision, progress)
                    : ModelImport.Into(source, Path.Combine(into ?? ModelImport.CacheFor(source), name ?? source.Name), precision, replaces, progress);
                Console.WriteLine(done);
            }

            return 0;
        }
        catch (Exception error) when (error is EngineException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"proxytune: {error.Message}");
            return 1;
        }
    }
}
