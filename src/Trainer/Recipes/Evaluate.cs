using System.Globalization;
using System.Text;
using System.Text.Json;
using ProxyTune.Checkpoints;
using ProxyTune.Checkpoints.Formats;
using ProxyTune.Decoding.Serving;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Recipes;

/// <summary>What <c>evaluate</c> asks, and which model.</summary>
/// <param name="Models">A models folder; not read when there is a <paramref name="Url"/>.</param>
/// <param name="Url">Where an OpenAI-compatible API begins that serves the model; null to load it here.</param>
/// <param name="Served">Name of a served model.</param>
/// <param name="Fusion">As a request's fusion, or null.</param>
/// <param name="Data">Examples, see <see cref="Sources.Examples"/>.</param>
/// <param name="AsJson">Nothing on standard output but one object, {"right", "total", "degenerate"}.</param>
internal sealed record EvaluateSettings(string Models, string? Url, string Served, string? Fusion, string Data, bool AsJson = false);

/// <summary>Greedy answers of a served model, compared to the letter.</summary>
internal static class Evaluate
{
    /// <summary>The environment variable that holds the API key of a remote server; empty means no key.</summary>
    public const string KeyVariable = "PROXYTUNE_KEY";

    private const int MistakesShown = 5;

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <exception cref="TrainingException">An unknown source, a fusion that is no such object, or a remote that does not answer.</exception>
    /// <exception cref="EngineException">An unknown model, or a models folder that is broken.</exception>
    public static void Run(EvaluateSettings settings, CancellationToken cancellation)
    {
        IReadOnlyList<Example> questions = Sources.Examples(settings.Data);
        IReadOnlyList<Answer> answers = AnswersAsync(settings, questions, cancellation).GetAwaiter().GetResult();
        Score score = Score.Of(questions, answers);
        if (settings.AsJson)
        {
            Console.WriteLine(JsonSerializer.Serialize(new { right = score.Right, total = score.Total, degenerate = score.Degenerate }));
            return;
        }

        foreach ((Example question, Answer answer) in questions.Zip(answers).Where(pair => pair.First.Answer != pair.Second.Text).Take(MistakesShown))
        {
            Console.WriteLine($"wrong: {question.Messages[^1].Content}\n  wanted: {question.Answer}\n  got:    {answer.Text}");
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{score.Right} of {score.Total} right ({score.Share:P1}), {score.Degenerate} degenerate ({score.DegenerateShare:P1}): looping or cut off after {Examinee.MaxAnswerTokens} tokens"));
    }

    private static async Task<IReadOnlyList<Answer>> AnswersAsync(EvaluateSettings settings, IReadOnlyList<Example> questions, CancellationToken cancellation)
    {
        AskedFusion? fusion = Parse(settings.Fusion);
        if (settings.Url is { } text)
        {
            return await new RemoteExaminee(Address(text), Environment.GetEnvironmentVariable(KeyVariable)).AnswerAsync(questions, settings.Served, settings.Fusion, cancellation);
        }

        await using Examinee examinee = new(settings.Models);
        return await examinee.AnswerAsync(questions, settings.Served, fusion);
    }

    private static Uri Address(string text) => Uri.TryCreate(text, UriKind.Absolute, out Uri? url) && (url.Scheme is "http" or "https")
        ? url
        : throw new TrainingException($"--url is '{text}'; accepted is where an API begins, such as http://127.0.0.1:5000/v1.");

    private static AskedFusion? Parse(string? fusion)
    {
        try
        {
            return fusion is null ? null : JsonSerializer.Deserialize<AskedFusion>(fusion, Json);
        }
        catch (JsonException error)
        {
            throw new TrainingException($"--fusion is '{fusion}': {JsonProblem.Reason(error, Encoding.UTF8.GetBytes(fusion!), Json.GetTypeInfo(typeof(AskedFusion)))}", error);
        }
    }
}
