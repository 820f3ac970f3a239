using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Checkpoints.Patches;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Training;

namespace ProxyTune.Trainer.Tests.Recipes;

public sealed class TuningTests : IDisposable
{
    private readonly string folder = Tiny.NewFolder();
    private readonly string small;
    private readonly string data;

    public TuningTests()
    {
        small = Tiny.SaveTextModel(Path.Combine(folder, "small"), Tiny.TextSpec, seed: 1);
        data = Tiny.SaveExamples(folder, Tiny.Examples);
    }

    private SftSettings Settings(string output) => new(
        small, data, Path.Combine(folder, output), new OptimizerSettings(1e-2), Epochs: 12, BatchSize: 8, EndOfAnswer: "<|end|>", Threads: 1);

    [Fact]
    public void Sft_AllWeights_LearnsTheAnswersAndSavesACheckpoint()
    {
        SftSettings settings = Settings("full");

        Sft.Run(settings, CancellationToken.None);

        double[] losses = Tiny.Losses(settings.Output);
        Assert.Equal(36, losses.Length);
        Assert.True(losses[^1] < 0.5 * losses[0]);
        using LlamaModel model = ModelFolder.Load(settings.Output, trainable: false);
        Assert.True(new FileInfo(Path.Combine(settings.Output, "loss.png")).Length > 1000);
    }

    [Fact]
    public void Sft_Lora_SavesAnAdapterThatFitsTheBase()
    {
        SftSettings settings = Settings("lora") with { Lora = new LoraSettings(4, 8, ["q_proj", "v_proj", "down_proj"]), Optimizer = new OptimizerSettings(5e-2) };

        Sft.Run(settings, CancellationToken.None);

        Assert.Equal(6, LowRankPatch.Read(settings.Output).Targets.Count);
        Assert.True(Tiny.Losses(settings.Output)[^1] < Tiny.Losses(settings.Output)[0] - 0.15);
        Assert.False(File.Exists(ModelFolder.Weights(settings.Output)));
    }

    [Theory]
    [InlineData(2, true)]
    [InlineData(1000, false)]
    public void Sft_Lora_RecordsItsWeightsAndData(int validateEvery, bool isValidated)
    {
        SftSettings settings = Settings("lora") with { Epochs = 1, Lora = new LoraSettings(4, 8, ["v_proj", "q_proj"]), Validation = data, ValidateEvery = validateEvery };

        Sft.Run(settings, CancellationToken.None);

        PatchManifest manifest = PatchManifest.TryRead(settings.Output)!;
        manifest.CheckFits(LowRankPatch.Read(settings.Output));
        Assert.Equal(("small", Lineage.Of(small)), (manifest.Base!.Name, manifest.Base.Weights));
        Assert.Equal((data, 4, 8.0), (manifest.Data!.Source, manifest.Rank, manifest.Alpha));
        Assert.Equal(isValidated, manifest.ValidationLoss > 0);
    }

    [Fact]
    public void Sft_InterruptedWithValidation_GivesTheSameLossesAndBestWeights()
    {
        SftSettings settings = Settings("whole") with { Validation = data, ValidateEvery = 5 };
        Sft.Run(settings, CancellationToken.None);

        SftSettings resumed = settings with { Output = Path.Combine(folder, "resumed"), CheckpointEvery = 4 };
        foreach (int milliseconds in new[] { 40, 80, 120 })
        {
            // Wherever the interruption falls, the result is the same.
            using CancellationTokenSource cancellation = new(milliseconds);
            Record.Exception(() => Sft.Run(resumed, cancellation.Token));
        }

        Sft.Run(resumed, CancellationToken.None);

        Assert.Equal(Tiny.Losses(settings.Output), Tiny.Losses(resumed.Output));
        Assert.Equal(File.ReadAllBytes(ModelFolder.Weights(settings.Output)), File.ReadAllBytes(ModelFolder.Weights(resumed.Output)));
    }

    [Fact]
    public void Sft_ExistingOutput_RefusesOtherSettingsAndAcceptsTheSame()
    {
        SftSettings settings = Settings("once") with { Epochs = 1 };
        Sft.Run(settings, CancellationToken.None);
        DateTime written = File.GetLastWriteTimeUtc(ModelFolder.Weights(settings.Output));

        Sft.Run(settings, CancellationToken.None);
        TrainingException error = Assert.Throws<TrainingException>(() => Sft.Run(settings with { Seed = 2 }, CancellationToken.None));

        Assert.Equal(written, File.GetLastWriteTimeUtc(ModelFolder.Weights(settings.Output)));
        Assert.Contains(settings.Output, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Sft_LossThatIsNotANumber_StopsWithTheStep()
    {
        SftSettings settings = Settings("wild") with { Optimizer = new OptimizerSettings(10, ClipNorm: 0, WeightDecay: 10, Schedule: "constant") };

        TrainingException error = Assert.Throws<TrainingException>(() => Sft.Run(settings, CancellationToken.None));

        Assert.Contains("the loss at step", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(ModelFolder.Weights(settings.Output)));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
