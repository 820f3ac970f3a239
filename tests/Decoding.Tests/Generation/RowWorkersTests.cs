using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Sampling;
using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Tests.Fusion;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>The number of threads that fuse and sample rows changes nothing of an answer.</summary>
public sealed class RowWorkersTests
{
    private const int Answers = 16;

    public static TheoryData<string> Masks => [.. FusionCases.Masks.Keys];

    [Theory]
    [MemberData(nameof(Masks))]
    public async Task Submit_OneWorkerAndSeveral_GiveTheSameTokensLogprobsAndTraces(string mask)
    {
        List<string> serial = await RunAsync(mask, maxDraft: 0, workers: 1, running: 1);
        foreach (int maxDraft in new[] { 0, 3 })
        {
            foreach (int running in new[] { 1, 2, 5, Answers })
            {
                Assert.Equal(serial, await RunAsync(mask, maxDraft, workers: 4, running));
            }
        }

        Assert.Equal(serial, await RunAsync(mask, maxDraft: 3, workers: 1, Answers));
    }

    [Fact]
    public async Task Submit_RowsOfOneRequestCannotBeUsed_FailsItAloneOnAnyNumberOfWorkers()
    {
        foreach (int workers in new[] { 1, 4 })
        {
            using FakeFamily family = new()
            {
                Edit = (member, row) =>
                {
                    if (member == "three")
                    {
                        row[5] = float.NaN;
                    }
                },
            };
            await using DecodeScheduler scheduler = new(family.Ensemble, Options(0, workers, Answers));
            GenerationRequest[] requests = [.. Enumerable.Range(0, Answers).Select(i => Request(family, new() { Method = "proxy", Alpha = 1, Experts = new Dictionary<string, double> { [i % 4 == 3 ? "three" : "one"] = 1 } }, i))];
            Task<List<GeneratedToken>>[] answers = [.. requests.Select(request => Generation.Answers.Collect(scheduler, request))];
            for (int i = 0; i < Answers; i++)
            {
                if (i % 4 == 3)
                {
                    EngineException failure = await Assert.ThrowsAsync<EngineException>(() => answers[i]);
                    Assert.Contains("NaN", failure.Message, StringComparison.Ordinal);
                }
                else
                {
                    Assert.NotEmpty(await answers[i]);
                }
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    public void Run_AnyNumberOfItems_DoesEachOnceBeforeItReturns(int workers)
    {
        RowWorkers rows = new(workers);
        for (int round = 0; round < 2000; round++)
        {
            int[] done = new int[round % 20];
            rows.Run(done.Length, item => Interlocked.Increment(ref done[item]));
            Assert.All(done, times => Assert.Equal(1, times));
        }
    }

    private static async Task<List<string>> RunAsync(string mask, int maxDraft, int workers, int running)
    {
        using FakeFamily family = new();
        List<AskedFusion> methods = [.. FusionCases.Methods.Select(method => method with { Mask = FusionCases.Masks[mask] }).Where(method => FusionCases.Fits(method, method.Mask!))];
        GenerationRequest[] requests =
        [
            .. Enumerable.Range(0, Math.Max(Answers, methods.Count)).Select(i =>
                Request(family, methods[i % methods.Count] with { Schedule = FusionCases.Schedules[i % FusionCases.Schedules.Count], Trace = true }, i)),
        ];
        await using DecodeScheduler scheduler = new(family.Ensemble, Options(maxDraft, workers, running));
        return [.. (await Task.WhenAll(requests.Select(request => Generation.Answers.Collect(scheduler, request)))).Select(WholeAnswer.Of)];
    }

    private static SchedulerOptions Options(int maxDraft, int workers, int running) =>
        new() { MaxRunning = running, MaxDraft = maxDraft, AlwaysDraft = true, Workers = workers, SharedLogits = 0 };

    private static GenerationRequest Request(FakeFamily family, AskedFusion settings, int seed)
    {
        FusionPlan plan = family.Pairs.Plan(settings, CallerRole.Operator).LoadPatches();
        SamplingOptions sampling = (seed % 3) switch
        {
            0 => new() { Temperature = 0, RepetitionPenalty = 1.2f },
            1 => new() { Temperature = 0.8f, TopP = 0.9f, Seed = (ulong)seed },
            _ => new() { Temperature = 1.2f, TopK = 20, MinP = 0.01f, Seed = (ulong)seed },
        };
        return new() { Prompt = FakeFamily.PromptOf(plan), Sampling = sampling, MaxTokens = 12, TopLogprobs = 3, IgnoreEndOfText = true };
    }
}
