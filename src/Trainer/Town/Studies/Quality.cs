using System.Text.Encodings.Web;
using System.Text.Json;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>The results of a family.</summary>
/// <param name="Tasks">The results of each behaviour alone.</param>
/// <param name="Together">The results of several experts at once.</param>
/// <param name="Frontier">The points of the frontier by recipe.</param>
internal sealed record FamilyQuality(TaskQuality[] Tasks, MultiTaskQuality Together, IReadOnlyDictionary<string, FrontierPoint[]> Frontier);

/// <summary>Examines the exported runs of a family through the server's catalog and engine.</summary>
internal static class Quality
{
    /// <summary>The largest number of questions of one behaviour.</summary>
    public const int MaxQuestions = 300;

    /// <summary>The largest number of questions of one behaviour in studies that ask each question several times.</summary>
    private const int MaxRepeatedQuestions = 200;

    public static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <param name="served">The folder of exported runs; its catalog.json is written.</param>
    public static async Task<FamilyQuality> ExamineAsync(string served, CancellationToken cancellation)
    {
        FamilyCatalog.Write(served);
        await using Examinee examinee = new(served);
        List<TaskQuality> tasks = new();
        foreach (string behaviour in FamilyPlan.Behaviours)
        {
            cancellation.ThrowIfCancellationRequested();
            tasks.Add(await new SingleTask(examinee, behaviour, MaxQuestions).ExamineAsync());
            Console.WriteLine($"examined {behaviour}");
        }

        cancellation.ThrowIfCancellationRequested();
        MultiTaskQuality together = await new MultiTask(examinee, MaxRepeatedQuestions).ExamineAsync();
        Console.WriteLine("examined the experts together");
        Dictionary<string, FrontierPoint[]> frontier = new();
        foreach (string recipe in FamilyPlan.PairRecipes)
        {
            cancellation.ThrowIfCancellationRequested();
            frontier[recipe] = await new Frontier(examinee, MaxRepeatedQuestions).ExamineAsync(recipe);
        }

        return new([.. tasks], together, frontier);
    }
}
