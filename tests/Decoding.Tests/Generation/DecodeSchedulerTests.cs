using ProxyTune.Decoding.Generation;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Generation;

public sealed class DecodeSchedulerTests
{
    [Fact]
    public async Task Submit_Greedy_GivesTheModelsOwnArgmaxUntilMaxTokens()
    {
        using FakeLanguageModel model = new("m");
        await using DecodeScheduler scheduler = new(model, new());
        List<GeneratedToken> tokens = await Answers.Collect(scheduler, Answers.Greedy(model, [1, 2, 3], 5));
        Assert.Equal(Answers.GreedyOracle(model, [1, 2, 3], 5), tokens.Select(t => t.Id));
        Assert.Equal([null, null, null, null, FinishReason.Length], tokens.Select(t => t.Finish));
    }
}
