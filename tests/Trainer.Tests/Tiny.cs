using System.Text.Json;
using ProxyTune.Checkpoints.Architectures;
using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Town;
using ProxyTune.Trainer.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace ProxyTune.Trainer.Tests;

/// <summary>Models and data of test size.</summary>
internal static class Tiny
{
    public const int EndOfText = 0;

    public static DecoderSpec Spec { get; } = new()
    {
        VocabularySize = 40,
        HiddenSize = 16,
        IntermediateSize = 24,
        Layers = 2,
        Heads = 4,
        KeyValueHeads = 2,
        HeadSize = 6,
        ContextLength = 32,
        NormEpsilon = 1e-5,
        TiedHead = true,
        EndIds = [EndOfText],
    };

    /// <summary>Size of a vocabulary for models with a tokenizer: the special tokens, 256 bytes and a few merges.</summary>
    public static DecoderSpec TextSpec { get; } = Spec with { VocabularySize = 300, ContextLength = 64 };

    public static string NewFolder() => Directory.CreateTempSubdirectory("trainer-").FullName;

    /// <summary>Weights large enough that every part of the model matters.</summary>
    public static LlamaModel Model(DecoderSpec spec, long seed = 1)
    {
        LlamaModel model = new(spec, trainable: true);
        using DisposeScope scope = NewDisposeScope();
        using Generator generator = new((ulong)seed);
        model.Parameters.Values.copy_(randn(model.Parameters.Values.numel(), generator: generator) * 0.4);
        return model;
    }

    public static float[] Logits(LlamaModel model, int[] ids, LoraAdapter? lora = null)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable frozen = no_grad();
        return model.Logits(model.Hidden(tensor(ids, ScalarType.Int64).unsqueeze(0), lora)).data<float>().ToArray();
    }

    /// <summary>Token sequences that count upwards, as data that can be learned.</summary>
    public static int[] Document(long index)
    {
        Random random = new((int)index);
        int first = random.Next(Spec.VocabularySize);
        return [.. Enumerable.Range(first, random.Next(8, 40)).Select(i => 1 + i % (Spec.VocabularySize - 1))];
    }

    public static Example[] Examples { get; } =
        [.. Enumerable.Range(0, 20).Select(i => new Example([new ChatMessage("user", $"Say {(char)('a' + i)}{new string('!', i % 4)}")], $"It is {(char)('a' + i)}."))];

    public static string SaveExamples(string folder, IEnumerable<Example> examples)
    {
        string path = Path.Combine(folder, "examples.jsonl");
        File.WriteAllLines(path, examples.Select(e => JsonSerializer.Serialize(new { messages = e.Messages.Select(m => new { role = m.Role, content = m.Content }), answer = e.Answer, keep = e.Keep })));
        return path;
    }

    /// <summary>A checkpoint with tokenizer and chat template.</summary>
    public static string SaveTextModel(string folder, DecoderSpec spec, long seed)
    {
        Directory.CreateDirectory(folder);
        IEnumerable<string> texts = Examples.Select(e => e.Messages[0].Content + e.Answer);
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), BpeTrainer.Train(texts, Chat.SpecialTokens, spec.VocabularySize).ToJsonString());
        File.WriteAllText(Path.Combine(folder, "chat_template.jinja"), Chat.Template);
        using LlamaModel model = new(spec, trainable: false);
        FreshWeights.Draw(model.Parameters, spec, seed);
        ModelFolder.Save(folder, model, folder);
        return folder;
    }

    /// <summary>The loss of each step of a finished run.</summary>
    public static double[] Losses(string output) =>
        [.. File.ReadLines(Path.Combine(output, "metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("loss").GetDouble())];

    public static void AssertClose<T>(IEnumerable<T> expected, IEnumerable<float> actual, double tolerance)
        where T : System.Numerics.INumber<T>
    {
        (double[]? e, float[]? a) = (expected.Select(double.CreateChecked).ToArray(), actual.ToArray());
        Assert.Equal(e.Length, a.Length);
        Assert.All(e.Zip(a), pair => Assert.InRange(pair.Second, pair.First - tolerance, pair.First + tolerance));
    }
}
