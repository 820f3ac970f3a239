using System.Globalization;
using System.Text.Json;

using ProxyTune.Decoding.Catalog;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Greedy answers of a served model, compared to the letter.</summary>
internal static class Evaluate
{
    private const int MistakesShown = 5;

    private static readonly JsonSerializerOptions s_json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    /// <param name="models">A models folder.</param>
    /// <param name="served">Names of served models.</param>
    /// <param name="fusion">As a request's fusion, or null.</param>
    /// <exception cref="TrainingException">An unknown source, or a fusion that is no such object.</exception>
    public static void Run(string models, string served, string? fusion, string source)
    {
        var questions = Sources.Examples(source);
        var answers = AnswersAsync(models, served, Parse(fusion), questions).GetAwaiter().GetResult();
        foreach (var (question, answer) in questions.Zip(answers).Where(pair => pair.First.Answer != pair.Second).Take(MistakesShown))
        {
            Console.WriteLine($"wrong: {question.Messages[^1].Content}\n  wanted: {question.Answer}\n  got:    {answer}");
        }

        var score = Score.Of(questions, answers);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{score.Right} of {score.Total} right ({score.Share:P1})"));
    }

    private static FusionSettings? Parse(string? fusion)
    {
        try
        {
            return fusion is null ? null : JsonSerializer.Deserialize<FusionSettings>(fusion, s_json);
        }
        catch (JsonException error)
        {
            throw new TrainingException($"--fusion is '{fusion}': {error.Message}", error);
        }
    }

    private static async Task<IReadOnlyList<string>> AnswersAsync(string models, string served, FusionSettings? fusion, IReadOnlyList<Example> questions)
    {
        await using var examinee = new Examinee(models);
        return await examinee.AnswerAsync(questions, served, fusion);
    }
}
