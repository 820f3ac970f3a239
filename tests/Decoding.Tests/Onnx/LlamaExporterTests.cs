using Microsoft.ML.OnnxRuntimeGenAI;
using ProxyTune.Testing;

namespace ProxyTune.Decoding.Tests.Onnx;

public sealed class LlamaExporterTests
{
    private static readonly int[] Prompt = [2, 77, 105, 110, 33, 4, 3];

    public static TheoryData<TinyModelOptions> Models =>
    [
        new(),
        new() { Tied = false, Seed = 2 },
        new() { HeadSize = 8, Seed = 3 },
        new() { HeadSize = 24, Heads = 2, KeyValueHeads = 1, Seed = 4, RopeTheta = 500_000 },
        new() { KeyValueHeads = 4, Layers = 1, Vocabulary = 300, TokenizerSize = 290 },
    ];

    [Theory]
    [MemberData(nameof(Models))]
    public void Export_AnyShape_LogitsEqualThePlainLoops(TinyModelOptions options)
    {
        using var model = TinyModel.Create(options);

        var logits = RawDecoder.Logits(model.Folder, Prompt);

        var expected = new SlowLlama(model.Folder).Logits(Prompt);
        Assert.Equal(Prompt.Length, logits.Length);
        Assert.Equal(0, expected.Zip(logits, (e, l) => e.Zip(l, (x, y) => Math.Abs(x - y)).Max()).Max(), 1e-4);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Export_AnyShape_GenAiGeneratesTheSameGreedyTokens(TinyModelOptions options)
    {
        using var model = TinyModel.Create(options with { EndIds = [0] });

        Assert.Equal(new SlowLlama(model.Folder).Greedy(Prompt, 20), GenAiGreedy(model.Folder, Prompt, 20));
    }

    private static int[] GenAiGreedy(string folder, int[] prompt, int count)
    {
        using var model = new Model(folder);
        using var parameters = new GeneratorParams(model);
        parameters.SetSearchOption("max_length", prompt.Length + count);
        parameters.SetSearchOption("min_length", prompt.Length + count);
        using var generator = new Generator(model, parameters);
        generator.AppendTokens(prompt);
        while (!generator.IsDone())
        {
            generator.GenerateNextToken();
        }

        return [.. generator.GetSequence(0)[prompt.Length..]];
    }
}
