using ProxyTune.Testing;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Trainer.Tests.Town;

public sealed class ForgettingTests : IDisposable
{
    private readonly string folder = Tiny.NewFolder();

    /// <summary>Runs the whole recipe with two steps of training, which teach nothing: training, serving, questions, report and publication.</summary>
    [Fact]
    public void Run_FewStepsAndQuestions_ReportsAndPublishesThePair()
    {
        string models = Directory.CreateDirectory(Path.Combine(folder, "models")).FullName;
        foreach (string name in new[] { "town-base", "town-small", "patches" })
        {
            Directory.CreateSymbolicLink(Path.Combine(models, name), Path.Combine(Repository.Models, name));
        }

        string report = Path.Combine(folder, "quality.md");
        File.WriteAllText(report, "before\n<!-- forgetting: begin -->\n<!-- forgetting: end -->\nafter\n");

        Forgetting.Run(Path.Combine(folder, "work"), models, report, steps: 2, questions: 2, CancellationToken.None);

        string text = File.ReadAllText(report);
        Assert.Contains("### Forgotten: what is still known of Henry Birch\n\n| | `qa`, 2 questions | `json`, 2 questions | `polite`, 2 questions |", text, StringComparison.Ordinal);
        Assert.Contains("| base (a = 0) | 100.0 % | 100.0 % | 100.0 % |", text, StringComparison.Ordinal);
        Assert.Contains("### Kept: what is known of the others\n\n| | `qa`, 2 questions |", text, StringComparison.Ordinal);
        Assert.EndsWith("<!-- forgetting: end -->\nafter\n", text, StringComparison.Ordinal);
        Assert.All(new[] { "town-small-retain", "town-small-forget" }, name => Assert.True(File.Exists(Path.Combine(models, name, "model.onnx"))));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
