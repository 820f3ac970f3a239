using System.Globalization;

using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Recipes;

/// <summary>Greedy answers of a weighted sum of models, compared to the letter.</summary>
internal static class Evaluate
{
    private const int MistakesShown = 5;

    /// <param name="folders">In genai layout, the base first.</param>
    /// <param name="weights">One factor per folder.</param>
    /// <exception cref="TrainingException">Another number of weights than folders, or an unknown source.</exception>
    public static void Run(string[] folders, float[] weights, string source)
    {
        if (weights.Length != folders.Length)
        {
            throw new TrainingException($"--weights has {weights.Length} numbers; accepted is one for each of the {folders.Length} folders.");
        }

        var questions = Sources.Examples(source);
        var answers = AnswersAsync(folders, weights, questions).GetAwaiter().GetResult();
        foreach (var (question, answer) in questions.Zip(answers).Where(pair => pair.First.Answer != pair.Second).Take(MistakesShown))
        {
            Console.WriteLine($"wrong: {question.Messages[^1].Content}\n  wanted: {question.Answer}\n  got:    {answer}");
        }

        var score = Score.Of(questions, answers);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{score.Right} of {score.Total} right ({score.Share:P1})"));
    }

    private static async Task<IReadOnlyList<string>> AnswersAsync(string[] folders, float[] weights, IReadOnlyList<Example> questions)
    {
        await using var examinee = new Examinee(folders);
        return await examinee.AnswerAsync(questions, weights);
    }
}
