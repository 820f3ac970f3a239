using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Settings;

namespace ProxyTune.Trainer.Tests.Recipes;

public sealed class PretrainTests : IDisposable
{
    private readonly string folder = Tiny.NewFolder();

    private PretrainSettings Settings(string output) => new(
        Data: "test", Tokenizer: folder, Output: Path.Combine(folder, output), TotalTokens: 64 * 30, TokensPerStep: 64,
        Contexts: [new(0.7, 8), new(1, 32)], new OptimizerSettings(1e-2, WarmupSteps: 3, Schedule: "cosine", WeightDecay: 0.1), Tiny.Spec, MicroBatchTokens: 32, Threads: 1, CheckpointEvery: 7);

    [Fact]
    public void Run_InterruptedTwice_GivesTheSameLossesAndWeightsAsUninterrupted()
    {
        PretrainSettings whole = Settings("whole");
        Pretrain.Run(whole, Tiny.Document, Tiny.EndOfText, CancellationToken.None);

        PretrainSettings resumed = Settings("resumed");
        foreach (int reads in new[] { 25, 60 })
        {
            using CancellationTokenSource cancellation = new();
            int count = 0;
            int[] Counted(long index)
            {
                if (++count == reads)
                {
                    cancellation.Cancel();
                }

                return Tiny.Document(index);
            }

            Assert.Throws<OperationCanceledException>(() => Pretrain.Run(resumed, Counted, Tiny.EndOfText, cancellation.Token));
            Assert.False(File.Exists(Path.Combine(resumed.Output, "model.safetensors")));
        }

        Pretrain.Run(resumed, Tiny.Document, Tiny.EndOfText, CancellationToken.None);

        Assert.Equal(Tiny.Losses(whole.Output), Tiny.Losses(resumed.Output));
        Assert.Equal(File.ReadAllBytes(Path.Combine(whole.Output, "model.safetensors")), File.ReadAllBytes(Path.Combine(resumed.Output, "model.safetensors")));
        Assert.False(Directory.Exists(Path.Combine(resumed.Output, "checkpoints")));
        Assert.True(Tiny.Losses(whole.Output)[^1] < Tiny.Losses(whole.Output)[0] - 0.3);
    }

    [Fact]
    public void Run_FromACheckpoint_ContinuesWithItsWeights()
    {
        PretrainSettings first = Settings("first");
        Pretrain.Run(first, Tiny.Document, Tiny.EndOfText, CancellationToken.None);
        PretrainSettings further = Settings("further") with { Model = null, Init = first.Output, FirstDocument = 1000 };

        Pretrain.Run(further, Tiny.Document, Tiny.EndOfText, CancellationToken.None);

        Assert.True(Tiny.Losses(further.Output)[0] < Tiny.Losses(first.Output)[0] - 0.3);
        PretrainSettings tooLong = further with { Output = Path.Combine(folder, "long"), Contexts = [new(1, 64)] };
        TrainingException error = Assert.Throws<TrainingException>(() => Pretrain.Run(tooLong, Tiny.Document, Tiny.EndOfText, CancellationToken.None));
        Assert.Contains("contexts has a phase of 64", error.Message, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
