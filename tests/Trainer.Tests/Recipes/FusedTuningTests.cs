using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Tests.Recipes;

/// <summary>The recipes whose loss is that of the fused row.</summary>
public sealed class FusedTuningTests : IDisposable
{
    private readonly string _folder = Tiny.NewFolder();
    private readonly string _small;
    private readonly string _large;
    private readonly string _data;

    public FusedTuningTests()
    {
        _small = Tiny.SaveTextModel(Path.Combine(_folder, "small"), Tiny.TextConfig, seed: 1);
        _large = Tiny.SaveTextModel(Path.Combine(_folder, "large"), Tiny.TextConfig with { HiddenSize = 32 }, seed: 2);
        _data = Tiny.SaveExamples(_folder, Tiny.Examples);
    }

    private SftSettings Settings(string output) => new(
        _small, _data, Path.Combine(_folder, output), new OptimizerSettings(1e-2), Epochs: 12, BatchSize: 8, EndOfAnswer: "<|end|>", Threads: 1);

    [Fact]
    public void Cpt_BaseEqualToAntiExpert_TrainsAsSftDoes()
    {
        var sft = Settings("sft");
        var cpt = new CptSettings(Settings("cpt"), Base: _small);

        Sft.Run(sft, CancellationToken.None);
        Cpt.Run(cpt, CancellationToken.None);

        Tiny.AssertClose(Tiny.Losses(sft.Output), Tiny.Losses(cpt.Expert.Output).Select(loss => (float)loss), 1e-2);
    }

    [Fact]
    public void Cpt_FirstStep_IsTheBasesLossSinceExpertAndAntiExpertCancel()
    {
        var settings = new CptSettings(OneStepOverAll("first"), _large, Alpha: 1.5);

        Cpt.Run(settings, CancellationToken.None);

        Assert.Equal(MeanLoss((large, _) => large), Tiny.Losses(settings.Expert.Output)[0], 1e-4);
    }

    [Fact]
    public void Cpt_LargerBase_LowersTheFusedLoss()
    {
        var settings = new CptSettings(Settings("fused") with { Lora = new LoraSettings(4, 8), Validation = _data, ValidateEvery = 3, Patience = 2 }, _large, Alpha: 1.5);

        Cpt.Run(settings, CancellationToken.None);

        Assert.True(Tiny.Losses(settings.Expert.Output)[^1] < Tiny.Losses(settings.Expert.Output)[0] - 0.3);
    }

    [Fact]
    public void Prt_FirstStep_EqualsPlainLoopsOverLogProbabilitiesPlusReward()
    {
        var settings = new PrtSettings(OneStepOverAll("first"), _large);

        Prt.Run(settings, CancellationToken.None);

        var expected = MeanLoss((large, small) =>
        {
            var logSum = Math.Log(large.Sum(Math.Exp));
            return [.. large.Zip(small, (m, r) => m - logSum + r)];
        });
        Assert.Equal(expected, Tiny.Losses(settings.Expert.Output)[0], 1e-4);
    }

    [Fact]
    public void Prt_LargerBase_LowersTheFusedLossAndSavesTheBestCheckpoint()
    {
        var settings = new PrtSettings(Settings("reward") with { Validation = _data, ValidateEvery = 3 }, _large);

        Prt.Run(settings, CancellationToken.None);

        Assert.True(Tiny.Losses(settings.Expert.Output)[^1] < 0.5 * Tiny.Losses(settings.Expert.Output)[0]);
        using var reward = ModelFolder.Load(settings.Expert.Output, trainable: false);
    }

    [Fact]
    public void Run_CacheTooSmallOrOtherVocabulary_NamesFieldAndValues()
    {
        var other = Tiny.SaveTextModel(Path.Combine(_folder, "other"), Tiny.TextConfig with { VocabSize = 310 }, seed: 3);
        var many = Tiny.SaveExamples(Directory.CreateDirectory(Path.Combine(_folder, "many")).FullName, Enumerable.Repeat(Tiny.Examples, 20).SelectMany(some => some));

        var vocabulary = Assert.Throws<TrainingException>(() => Prt.Run(new PrtSettings(Settings("a"), other), CancellationToken.None));
        var memory = Assert.Throws<TrainingException>(() => Prt.Run(new PrtSettings(Settings("b") with { Data = many }, _large, CacheMegabytes: 1), CancellationToken.None));

        Assert.Contains($"base '{other}' has a vocabulary of 310; accepted is the expert's, 300", vocabulary.Message, StringComparison.Ordinal);
        Assert.Contains("cache_megabytes is 1", memory.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private SftSettings OneStepOverAll(string output) => Settings(output) with { Steps = 1, BatchSize = Tiny.Examples.Length, MicroBatchTokens = 100 };

    /// <summary>-log softmax(row)[target], the mean over all answer tokens, for a row made of those of the large and the small model.</summary>
    private double MeanLoss(Func<double[], double[], double[]> row)
    {
        using var large = ModelFolder.Load(_large, trainable: false);
        using var small = ModelFolder.Load(_small, trainable: false);
        var losses = new List<double>();
        foreach (var example in Expert.Encode(_data, _small, PromptFormat.Chat, "<|end|>", small.Config))
        {
            int[] ids = [.. example.Prompt, .. example.Answer];
            var (m, r) = (Rows(large, ids), Rows(small, ids));
            foreach (var (i, target) in example.Answer.Index())
            {
                var fused = row(m[example.Prompt.Length - 1 + i], r[example.Prompt.Length - 1 + i]);
                losses.Add(Math.Log(fused.Sum(value => Math.Exp(value - fused[target]))));
            }
        }

        return losses.Average();
    }

    private static double[][] Rows(LlamaModel model, int[] ids) =>
        [.. Tiny.Logits(model, ids).Select(value => (double)value).Chunk(model.Config.VocabSize)];
}
