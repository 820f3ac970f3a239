using ProxyTune.Decoding.Fusion;
using ProxyTune.Decoding.Generation;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Tests.Models;
using ProxyTune.Testing;
using ProxyTune.Testing.Foreign;

namespace ProxyTune.Decoding.Tests.Generation;

/// <summary>Tests the whole engine over real graphs.</summary>
public sealed class RealModelTests
{
    private static readonly int[] Prompt = [7, 30, 12, 9, 41];

    [Fact]
    public async Task Submit_ExportedModel_EqualsGenAi()
    {
        using TinyModel tiny = TinyModel.Create();
        Assert.Equal(GenAiReference.Greedy(tiny.Folder, Prompt, 40), await Greedy(tiny.Folder));
    }

    [Theory]
    [InlineData(ForeignKind.SeparateProjections)]
    [InlineData(ForeignKind.PositionIds)]
    [InlineData(ForeignKind.ExternalFiles)]
    [InlineData(ForeignKind.PlainAttention)]
    public async Task Submit_ForeignFolder_EqualsGenAi(ForeignKind kind)
    {
        using ForeignModel foreign = ForeignModel.Create(kind);
        Assert.Equal(GenAiReference.Greedy(foreign.Folder, Prompt, 40), await Greedy(foreign.Folder));
    }

    /// <summary>The folders in models/.</summary>
    public static TheoryData<string> Shipped =>
        [.. Directory.GetDirectories(Repository.Models).Where(folder => File.Exists(Path.Combine(folder, "genai_config.json"))).Select(folder => Path.GetFileName(folder)!)];

    [Theory]
    [MemberData(nameof(Shipped))]
    public async Task Submit_ShippedFolder_EqualsGenAi(string name)
    {
        string folder = Path.Combine(Repository.Models, name);
        Assert.Equal(GenAiReference.Greedy(folder, Prompt, 40), await Greedy(folder));
    }

    [Fact]
    public async Task Submit_FusedModels_EqualTheSumOfSingleRunsAloneAndTogether()
    {
        using TinyModel largeFolder = TinyModel.Create(new() { Hidden = 48, Layers = 3, Seed = 2 });
        using TinyModel tunedFolder = TinyModel.Create(new() { Seed = 3 }), smallFolder = TinyModel.Create(new() { Seed = 4 });
        OnnxLanguageModel large = OnnxLanguageModel.Load(largeFolder.Folder, new());
        OnnxLanguageModel tuned = OnnxLanguageModel.Load(tunedFolder.Folder, new()), small = OnnxLanguageModel.Load(smallFolder.Folder, new());
        using FusedModel fused = new("town", [large, tuned, small]);
        GenerationRequest[] requests = [.. Enumerable.Range(0, 6).Select(i => Request(large, tuned, small, i))];

        List<int[]> alone = [], together;
        await using (DecodeScheduler scheduler = new(fused, new()))
        {
            foreach (GenerationRequest request in requests)
            {
                alone.Add(Ids(await Answers.Collect(scheduler, request)));
            }

            long runs = large.Runs, steps = scheduler.Statistics.Steps;
            together = [.. (await Task.WhenAll(requests.Select(r => Answers.Collect(scheduler, r)))).Select(Ids)];
            Assert.True(large.Runs - runs <= scheduler.Statistics.Steps - steps + requests.Length, "More than a run per step and prompt.");
        }

        Assert.Equal(alone, together);
        Assert.Equal((0, 0, 0), (large.LiveSequences, tuned.LiveSequences, small.LiveSequences));
        Assert.Equal(Oracle(requests[0], 12), alone[0]);
    }

    private static GenerationRequest Request(OnnxLanguageModel large, OnnxLanguageModel tuned, OnnxLanguageModel small, int i)
    {
        float weight = i % 3 * 0.5f;
        FusionPlan plan = new([new(large, StreamRole.Base, 1), new(tuned, StreamRole.Expert, 1 + weight), new(small, StreamRole.AntiExpert, -1 - weight)]);
        int[] own = Rows.Random(i, 3 + i, 200);
        return new()
        {
            Prompt = new(plan, [own, (int[])[5, 6, .. own], (int[])[5, 6, .. own]]),
            Sampling = new() { Temperature = i % 2, Seed = (ulong)i },
            MaxTokens = 12,
            IgnoreEndOfText = true,
        };
    }

    /// <summary>Every step from scratch, greedy.</summary>
    private static int[] Oracle(GenerationRequest request, int count)
    {
        List<int> answer = [];
        while (answer.Count < count)
        {
            double[] sum = new double[request.Prompt.Plan.Streams[0].Model.Info.VocabularySize];
            foreach ((FusionStream stream, ReadOnlyMemory<int> prompt) in request.Prompt.Plan.Streams.Zip(request.Prompt.Streams))
            {
                float[] row = Rows.Fresh(stream.Model, [.. prompt.Span, .. answer])[0];
                for (int id = 0; id < sum.Length; id++)
                {
                    sum[id] += stream.Weight * (double)row[id];
                }
            }

            answer.Add(Array.IndexOf(sum, sum.Max()));
        }

        return [.. answer];
    }

    private static async Task<int[]> Greedy(string folder)
    {
        using OnnxLanguageModel model = OnnxLanguageModel.Load(folder, new());
        await using DecodeScheduler scheduler = new(model, new());
        List<GeneratedToken> tokens = await Answers.Collect(scheduler, Answers.Greedy(model, Prompt, 40));

        // GenAI does not return the end-of-text id.
        return Ids([.. tokens.Where(t => t.Finish != FinishReason.Stop)]);
    }

    private static int[] Ids(List<GeneratedToken> tokens) => [.. tokens.Select(t => t.Id)];
}
