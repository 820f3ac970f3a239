using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Tests.Recipes;

/// <summary>Tests the recipes whose loss is computed from the fused row.</summary>
public sealed class FusedTuningTests : IDisposable
{
    private readonly string folder = Tiny.NewFolder();
    private readonly string small;
    private readonly string large;
    private readonly string data;

    public FusedTuningTests()
    {
        small = Tiny.SaveTextModel(Path.Combine(folder, "small"), Tiny.TextSpec, seed: 1);
        large = Tiny.SaveTextModel(Path.Combine(folder, "large"), Tiny.TextSpec with { HiddenSize = 32 }, seed: 2);
        data = Tiny.SaveExamples(folder, Tiny.Examples);
    }

    private SftSettings Settings(string output) => new(
        small, data, Path.Combine(folder, output), new OptimizerSettings(1e-2), Epochs: 12, BatchSize: 8, EndOfAnswer: "<|end|>", Threads: 1);

    [Fact]
    public void Cpt_BaseEqualToAntiExpert_TrainsLikeSft()
    {
        SftSettings sft = Settings("sft");
        CptSettings cpt = new(Settings("cpt"), Base: small);

        Sft.Run(sft, CancellationToken.None);
        Cpt.Run(cpt, CancellationToken.None);

        Tiny.AssertClose(Tiny.Losses(sft.Output), Tiny.Losses(cpt.Expert.Output).Select(loss => (float)loss), 1e-2);
    }

    [Fact]
    public void Cpt_FirstStep_HasTheLossOfTheBase()
    {
        CptSettings settings = new(OneStepOverAll("first"), large, Alpha: 1.5);

        Cpt.Run(settings, CancellationToken.None);

        Assert.Equal(MeanLoss((large, _) => large), Tiny.Losses(settings.Expert.Output)[0], 1e-4);
    }

    [Fact]
    public void Cpt_LargerBase_LowersTheFusedLoss()
    {
        CptSettings settings = new(Settings("fused") with { Lora = new LoraSettings(4, 8), Validation = data, ValidateEvery = 3, Patience = 2 }, large, Alpha: 1.5);

        Cpt.Run(settings, CancellationToken.None);

        Assert.True(Tiny.Losses(settings.Expert.Output)[^1] < Tiny.Losses(settings.Expert.Output)[0] - 0.3);
    }

    [Fact]
    public void Prt_FirstStep_EqualsPlainLoopsOverLogProbabilitiesPlusReward()
    {
        PrtSettings settings = new(OneStepOverAll("first"), large);

        Prt.Run(settings, CancellationToken.None);

        double expected = MeanLoss((large, small) => [.. LogSoftmax(large).Zip(small, (m, r) => m + r)]);
        Assert.Equal(expected, Tiny.Losses(settings.Expert.Output)[0], 1e-4);
    }

    [Fact]
    public void Prt_LargerBase_LowersTheFusedLossAndSavesTheBestCheckpoint()
    {
        PrtSettings settings = new(Settings("reward") with { Validation = data, ValidateEvery = 3 }, large);

        Prt.Run(settings, CancellationToken.None);

        Assert.True(Tiny.Losses(settings.Expert.Output)[^1] < 0.5 * Tiny.Losses(settings.Expert.Output)[0]);
        using LlamaModel reward = ModelFolder.Load(settings.Expert.Output, trainable: false);
    }

    /// <summary>At the first step an expert equals its anti-expert and changes nothing. A reward does.</summary>
    [Fact]
    public void Run_ExamplesToKeep_HaveNoLossAtTheFirstStep()
    {
        string data = Tiny.SaveExamples(folder, Tiny.Examples.Select(example => example with { Keep = true }));
        SftSettings Kept(string output) => OneStepOverAll(output) with { Data = data };

        Sft.Run(Kept("sft"), CancellationToken.None);
        Cpt.Run(new CptSettings(Kept("cpt"), large, Alpha: 1.5), CancellationToken.None);
        Prt.Run(new PrtSettings(Kept("prt"), large), CancellationToken.None);

        double Loss(string output) => Tiny.Losses(Path.Combine(folder, output))[0];
        Assert.Equal(0, Loss("sft"), 1e-5);
        Assert.Equal(0, Loss("cpt"), 1e-5);
        Assert.InRange(Loss("prt"), 1e-3, 10);
    }

    /// <summary>Compares the tuned model's answers to the questions to keep with those of a model tuned without them.</summary>
    [Fact]
    public void Sft_SomeExamplesToKeep_LearnsTheOthersAndKeepsThese()
    {
        (IEnumerable<Example>? learned, IEnumerable<Example>? kept) = (Tiny.Examples.Take(10), Tiny.Examples.Skip(10).Select(example => example with { Keep = true }));
        string data = Tiny.SaveExamples(folder, [.. learned, .. kept]);
        SftSettings settings = Settings("mixed") with { Data = data, Validation = data, ValidateEvery = 6 };

        Sft.Run(settings, CancellationToken.None);
        Sft.Run(Settings("plain") with { Data = Tiny.SaveExamples(Directory.CreateDirectory(Path.Combine(folder, "own")).FullName, learned) }, CancellationToken.None);

        Assert.True(Tiny.Losses(settings.Output)[^1] < 0.5 * Tiny.Losses(settings.Output)[0]);
        Assert.True(Moved("mixed") < 0.3 * Moved("plain"), $"{Moved("mixed")} {Moved("plain")}");

        double Moved(string output)
        {
            using LlamaModel tuned = ModelFolder.Load(Path.Combine(folder, output), trainable: false);
            using LlamaModel before = ModelFolder.Load(small, trainable: false);
            return Expert.Encode(data, small, PromptFormat.Chat, "<|end|>", before.Spec).Where(example => example.Keep).Sum(example =>
            {
                int[] ids = [.. example.Prompt, .. example.Answer];
                return Rows(tuned, ids)[example.Prompt.Length..^1].Zip(Rows(before, ids)[example.Prompt.Length..^1], (a, b) =>
                {
                    (double[]? p, double[]? q) = (LogSoftmax(b), LogSoftmax(a));
                    return p.Zip(q, (x, y) => Math.Exp(x) * (x - y)).Sum();
                }).Sum();
            });
        }
    }

    [Fact]
    public void Run_CacheTooSmallOrOtherVocabulary_NamesFieldAndValues()
    {
        string other = Tiny.SaveTextModel(Path.Combine(folder, "other"), Tiny.TextSpec with { VocabularySize = 310 }, seed: 3);
        string many = Tiny.SaveExamples(Directory.CreateDirectory(Path.Combine(folder, "many")).FullName, Enumerable.Repeat(Tiny.Examples, 20).SelectMany(some => some));

        TrainingException vocabulary = Assert.Throws<TrainingException>(() => Prt.Run(new PrtSettings(Settings("a"), other), CancellationToken.None));
        TrainingException memory = Assert.Throws<TrainingException>(() => Prt.Run(new PrtSettings(Settings("b") with { Data = many }, large, CacheMegabytes: 1), CancellationToken.None));

        Assert.Contains($"base '{other}' has a vocabulary of 310; accepted is the expert's, 300", vocabulary.Message, StringComparison.Ordinal);
        Assert.Contains("cache_megabytes is 1", memory.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private SftSettings OneStepOverAll(string output) => Settings(output) with { Steps = 1, BatchSize = Tiny.Examples.Length, MicroBatchTokens = 100 };

    /// <summary>-log softmax(row)[target], the mean over all answer tokens, for a row made of those of the large and the small model.</summary>
    private double MeanLoss(Func<double[], double[], double[]> row)
    {
        using LlamaModel large = ModelFolder.Load(this.large, trainable: false);
        using LlamaModel small = ModelFolder.Load(this.small, trainable: false);
        List<double> losses = new();
        foreach (AnswerTokens example in Expert.Encode(data, this.small, PromptFormat.Chat, "<|end|>", small.Spec))
        {
            int[] ids = [.. example.Prompt, .. example.Answer];
            (double[][]? m, double[][]? r) = (Rows(large, ids), Rows(small, ids));
            foreach ((int i, int target) in example.Answer.Index())
            {
                double[] fused = row(m[example.Prompt.Length - 1 + i], r[example.Prompt.Length - 1 + i]);
                losses.Add(Math.Log(fused.Sum(value => Math.Exp(value - fused[target]))));
            }
        }

        return losses.Average();
    }

    private static double[] LogSoftmax(double[] row)
    {
        double logSum = Math.Log(row.Sum(Math.Exp));
        return [.. row.Select(value => value - logSum)];
    }

    private static double[][] Rows(LlamaModel model, int[] ids) =>
        [.. Tiny.Logits(model, ids).Select(value => (double)value).Chunk(model.Spec.VocabularySize)];
}
