using System.Text.Encodings.Web;
using System.Text.Json;
using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>All that is measured of a family.</summary>
/// <param name="Frontier">By recipe.</param>
internal sealed record FamilyQuality(TaskQuality[] Tasks, MultiTaskQuality Together, IReadOnlyDictionary<string, FrontierPoint[]> Frontier);

/// <summary>Examines the exported runs of a family through the server's own catalog and engine.</summary>
internal static class Quality
{
    /// <summary>Most questions of one examination.</summary>
    public const int Most = 300;

    /// <summary>Where several experts are asked the questions of each, fewer.</summary>
    private const int MaxOfMany = 200;

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
            tasks.Add(await new SingleTask(examinee, behaviour, Most).ExamineAsync());
            Console.WriteLine($"examined {behaviour}");
        }

        cancellation.ThrowIfCancellationRequested();
        MultiTaskQuality together = await new MultiTask(examinee, MaxOfMany).ExamineAsync();
        Console.WriteLine("examined the experts together");
        Dictionary<string, FrontierPoint[]> frontier = new();
        foreach (string recipe in FamilyPlan.PairRecipes)
        {
            cancellation.ThrowIfCancellationRequested();
            frontier[recipe] = await new Frontier(examinee, MaxOfMany).ExamineAsync(recipe);
        }

        return new([.. tasks], together, frontier);
    }
}
