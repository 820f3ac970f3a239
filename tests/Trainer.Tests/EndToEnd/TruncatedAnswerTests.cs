using ProxyTune.Gateway.Tests.Hosting;
using ProxyTune.Trainer.Evaluation;
using ProxyTune.Trainer.Recipes;

namespace ProxyTune.Trainer.Tests.EndToEnd;

/// <summary>A model without training never ends its answers: the limit does, and both ways to ask must say so.</summary>
public sealed class TruncatedAnswerTests : IAsyncLifetime
{
    private readonly string folder = Tiny.NewFolder();
    private readonly string models;
    private readonly RunningGateway gateway;

    public TruncatedAnswerTests()
    {
        models = Directory.CreateDirectory(Path.Combine(folder, "models")).FullName;
        Export.Run(Tiny.SaveTextModel(Path.Combine(folder, "untrained"), Tiny.TextSpec, seed: 1), null, Path.Combine(models, "untrained"));
        gateway = new(null, "--models", models);
    }

    public Task InitializeAsync() => gateway.InitializeAsync();

    public async Task DisposeAsync()
    {
        await gateway.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task AnswerAsync_ModelThatNeverEnds_IsTruncatedInProcessAndOverHttp()
    {
        await using Examinee examinee = new(models);
        IReadOnlyList<Answer> inProcess = await examinee.AnswerAsync(Tiny.Examples, "untrained");
        IReadOnlyList<Answer> overHttp = await new RemoteExaminee(new Uri(gateway.Http.BaseAddress!, "v1"), key: null).AnswerAsync(Tiny.Examples, "untrained", fusion: null, CancellationToken.None);

        Assert.Contains(inProcess, answer => answer.Truncated);
        Assert.Equal(inProcess.Select(answer => answer.Truncated), overHttp.Select(answer => answer.Truncated));
        Assert.Equal(inProcess.Count(answer => answer.IsDegenerate), Score.Of(Tiny.Examples, overHttp).Degenerate);
    }
}
