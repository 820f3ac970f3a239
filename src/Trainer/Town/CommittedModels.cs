using ProxyTune.Trainer.Evaluation;

namespace ProxyTune.Trainer.Town;

/// <summary>Examines the models of the models folder and reports right and degenerate answers. It trains nothing.</summary>
internal static class CommittedModels
{
    /// <param name="models">The models folder.</param>
    /// <param name="report">The document whose measured part is rewritten, docs/quality.md.</param>
    /// <param name="questions">The largest number of questions of each kind.</param>
    public static void Run(string models, string report, int questions, CancellationToken cancellation)
    {
        string folder = Directory.CreateTempSubdirectory("committed-").FullName;
        try
        {
            Link(folder, models);
            CommittedQuality quality = ExamineAsync(folder, questions, cancellation).GetAwaiter().GetResult();
            File.WriteAllText(report, CommittedReport.Insert(File.ReadAllText(report), quality));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Fills a folder with links to the models, under the names of their runs.</summary>
    private static void Link(string folder, string models)
    {
        foreach ((string name, string run) in Family.Committed.Append(("town-base-1", FamilyCatalog.LaterBase)).Append(("patches", "patches")))
        {
            Directory.CreateSymbolicLink(Path.Combine(folder, run), Path.GetFullPath(Path.Combine(models, name)));
        }

        FamilyCatalog.Write(folder, PortabilityPlan.Behaviours.SelectMany(behaviour => new (string, string, string?)[]
        {
            (FamilyCatalog.DirectLora(behaviour), FamilyCatalog.Base, $"town-base-{behaviour}"),
            (FamilyCatalog.Ported(behaviour), FamilyCatalog.LaterBase, $"town-base-{behaviour}"),
        }).Append((FamilyCatalog.LaterBase, FamilyCatalog.LaterBase, null)));
    }

    private static async Task<CommittedQuality> ExamineAsync(string folder, int questions, CancellationToken cancellation)
    {
        await using Examinee examinee = new(folder);
        return await new CommittedStudy(examinee, questions).ExamineAsync(cancellation);
    }
}
