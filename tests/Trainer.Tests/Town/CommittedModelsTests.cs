using ProxyTune.Testing;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Town;

public sealed class CommittedModelsTests : IDisposable
{
    private readonly string folder = Tiny.NewFolder();

    /// <summary>Names of folders, entries and experts meet here: one that is wrong ends the examination.</summary>
    [Fact]
    public void Run_OneQuestionOfEachKind_FillsTheReport()
    {
        string report = Path.Combine(folder, "quality.md");
        File.Copy(Path.Combine(Repository.Root, "docs", "quality.md"), report);

        CommittedModels.Run(Repository.Models, report, questions: 1, CancellationToken.None);

        string text = File.ReadAllText(report);
        Assert.Contains("| cpt, fused, alpha 1 | 100.0 % / 0.0 % | 100.0 % / 0.0 % | 100.0 % / 0.0 % | 100.0 % / 0.0 % | 100.0 % / 0.0 % |", text, StringComparison.Ordinal);
        Assert.Contains("| base of generation 1, ported patch | 100.0 % / 0.0 % | 100.0 % / 0.0 % | 100.0 % / 0.0 % |  |  |", text, StringComparison.Ordinal);
        Assert.Contains("| degenerate, seed 1 | patch on generation 0 | ported patch |\n|---|---|---|\n| `qa` | 0.0 % | 0.0 % |", text, StringComparison.Ordinal);
        Assert.Contains("### Context-aware decoding: 1 questions", text, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
