using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Serving;

/// <summary>Makes a member of a remote base's entry. Checks everything but the remote itself, which may be down when this server starts.</summary>
internal sealed class RemoteLoader(string modelsFolder, EntryLabel label)
{
    private const string Tokens = "tokens";
    private const string Text = "text";
    private const double LongestSeconds = 86_400;

    private readonly SettingsProblem problem = label.Problem;

    public LoadedModel Load(RemoteEntry entry)
    {
        try
        {
            return Load(entry, Options(entry), Folder(entry.Tokenizer));
        }
        catch (EngineException error) when (error.Error == EngineError.InvalidModelFolder)
        {
            throw new EngineException(error.Error, $"{label}: folder '{entry.Tokenizer}': {error.Message}", label.Name, error);
        }
    }

    private LoadedModel Load(RemoteEntry entry, RemoteOptions options, string folder)
    {
        Tokenizer tokenizer = Tokenizer.Load(folder);
        try
        {
            if (options.Prompt == RemotePrompt.Text && !tokenizer.IsByteLevel)
            {
                throw problem.At("base.prompt", Text, $"{Tokens}: the pieces of this tokenizer give a text only together");
            }

            GenAiConfig? config = File.Exists(Path.Combine(folder, FileNames.GenAiConfig)) ? GenAiConfig.Read(folder) : null;
            int context = Number("context_length", entry.ContextLength ?? config?.ContextLength, 2, int.MaxValue);
            IReadOnlyList<int> ends = entry.EndOfTextIds ?? config?.EndOfTextIds ?? throw problem.At("base.end_of_text_ids", null, "a list of token ids");
            foreach (int id in ends)
            {
                Number("end_of_text_ids", id, 0, tokenizer.VocabularySize - 1);
            }

            return new LoadedModel(folder, new RemoteLanguageModel(options, tokenizer, context, ends), tokenizer, ChatTemplate.TryLoad(folder));
        }
        catch
        {
            tokenizer.Dispose();
            throw;
        }
    }

    private RemoteOptions Options(RemoteEntry entry)
    {
        RemoteOptions usual = new() { Url = Url(entry.Url), Model = string.IsNullOrWhiteSpace(entry.Model) ? throw problem.At("base.model", entry.Model, "what the remote calls the model") : entry.Model };
        return usual with
        {
            Key = entry.ApiKeyEnv is { } variable ? Key(variable) : null,
            TopLogprobs = Number("top_logprobs", entry.TopLogprobs ?? usual.TopLogprobs, 1, RemoteOptions.MaxTopLogprobs),
            Prompt = entry.Prompt switch
            {
                null or Tokens => RemotePrompt.Tokens,
                Text => RemotePrompt.Text,
                _ => throw problem.At("base.prompt", entry.Prompt, $"{Tokens} or {Text}"),
            },
            Timeout = Seconds("timeout_seconds", entry.TimeoutSeconds, usual.Timeout, 0.01),
            Retries = Number("retries", entry.Retries ?? usual.Retries, 0, 100),
            RetryDelay = Seconds("retry_delay_seconds", entry.RetryDelaySeconds, usual.RetryDelay, 0),
            LongestDelay = Seconds("longest_delay_seconds", entry.LongestDelaySeconds, usual.LongestDelay, 0),
            Breaker = Breaker(entry.Breaker ?? new BreakerEntry()),
            Body = Body(entry.Body ?? usual.Body),
        };
    }

    private BreakerOptions Breaker(BreakerEntry entry)
    {
        BreakerOptions usual = new();
        double ratio = entry.FailureRatio ?? usual.FailureRatio;
        return new()
        {
            FailureRatio = ratio is > 0 and <= 1 ? ratio : throw problem.At("base.breaker.failure_ratio", ratio, "a number above 0, to 1"),
            Attempts = Number("breaker.attempts", entry.Attempts ?? usual.Attempts, 2, int.MaxValue),
            Window = Seconds("breaker.window_seconds", entry.WindowSeconds, usual.Window, 0.5),
            Open = Seconds("breaker.open_seconds", entry.OpenSeconds, usual.Open, 0.5),
        };
    }

    private Uri Url(string? text) =>
        Uri.TryCreate(text, UriKind.Absolute, out Uri? url) && url.Scheme is "http" or "https" && (url.UserInfo + url.Query + url.Fragment).Length == 0
            ? url

            // The message does not quote the url, because it may contain a password.
            : throw label.Wrong("base.url is missing or not of the form http://HOST/PATH or https://HOST/PATH; a key belongs into an environment variable, which api_key_env names.");

    private RemoteKey Key(string variable)
    {
        string? value = Environment.GetEnvironmentVariable(variable);
        return !string.IsNullOrEmpty(value) && value.All(c => c is > ' ' and <= '~')
            ? new RemoteKey(value)
            : throw problem.At("base.api_key_env", variable, "the name of an environment variable that holds a key without blanks");
    }

    private IReadOnlyDictionary<string, JsonElement> Body(IReadOnlyDictionary<string, JsonElement> body) =>
        body.Keys.FirstOrDefault(RemotePromptWriter.Own.Contains) is { } own
            ? throw problem.At("base.body", own, $"further fields; {string.Join(", ", RemotePromptWriter.Own)} have other sources")
            : body;

    private string Folder(string? name) =>
        !string.IsNullOrEmpty(name) && Path.GetFileName(name) == name && Directory.Exists(Path.Combine(modelsFolder, name))
            ? Path.Combine(modelsFolder, name)
            : throw problem.At("base.tokenizer", name, $"the name of a folder in {modelsFolder} that holds the remote's tokenizer.json");

    private int Number(string field, int? value, int least, int most) =>
        value >= least && value <= most ? value.Value : throw problem.At($"base.{field}", value, $"an integer from {least} to {most}");

    private TimeSpan Seconds(string field, double? value, TimeSpan usual, double least) =>
        value is null ? usual
        : value >= least && value <= LongestSeconds ? TimeSpan.FromSeconds(value.Value)
        : throw problem.At($"base.{field}", value, FormattableString.Invariant($"a number of seconds from {least} to {LongestSeconds}"));
}
