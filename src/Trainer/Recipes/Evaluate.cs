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

/// <summary>The settings of the command <c>evaluate</c>.</summary>
/// <param name="Models">A models folder; not read if there is a <paramref name="Url"/>.</param>
/// <param name="Url">The base URL of an OpenAI-compatible API that serves the model; null loads the model in this process.</param>
/// <param name="Served">The name of a served model.</param>
/// <param name="Fusion">The fusion as in a request, or null.</param>
/// <param name="Data">The questions, see <see cref="Sources.Examples"/>.</param>
/// <param name="AsJson">True writes only one JSON object to standard output, {"right", "total", "degenerate"}.</param>
internal sealed record EvaluateSettings(string Models, string? Url, string Served, string? Fusion, string Data, bool AsJson = false);

/// <summary>Compares the greedy answers of a served model with the expected answers, letter by letter.</summary>
internal static class Evaluate
{
    /// <summary>The environment variable that holds the API key of a remote server; empty means no key.</summary>
    public const string KeyVariable = "PROXYTUNE_KEY";

    private const int MaxShownMistakes = 5;

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <exception cref="TrainingException">The source is unknown, the fusion is not valid, or the remote does not answer.</exception>
    /// <exception cref="EngineException">The model is unknown, or the models folder is broken.</exception>
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

        foreach ((Example question, Answer answer) in questions.Zip(answers).Where(pair => pair.First.Answer != pair.Second.Text).Take(MaxShownMistakes))
        {
            Console.WriteLine($"wrong: {question.Messages[^1].Content}\n  expected: {question.Answer}\n  received: {answer.Text}");
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
        : throw new TrainingException($"--url is '{text}'; accepted is the base URL of an API, such as http://127.0.0.1:5000/v1.");

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
