using System.Diagnostics;
using System.Numerics;
using Microsoft.ML.OnnxRuntime;
using ProxyTune.Decoding;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Measuring;

/// <summary>
/// The lower bound of a model's cost: its graph with the engine's session settings and keys and values in place, run in a plain loop. Only
/// ONNX Runtime's run is timed. Binding, masks and reading the logits are not.
/// </summary>
public sealed class BareDecoder : IDisposable
{
    private readonly DecoderGraph graph;
    private readonly DecoderSession decoder;
    private readonly OrtIoBinding binding;
    private readonly RunOptions options = new();
    private readonly int rows;
    private readonly int width;
    private readonly NativeTensor[] cache;
    private readonly NativeTensor ids;
    private readonly NativeTensor positions;
    private readonly NativeTensor mask;
    private readonly NativeTensor logits;
    private int length;

    public BareDecoder(string folder, int rows, int maxTokens)
    {
        graph = DecoderGraph.Load(folder, new EngineOptions());
        decoder = graph.Open(graph.Model);
        if (!decoder.SharesCache)
        {
            throw new NotSupportedException($"{folder}: a layer has no GroupQueryAttention. The bare loop runs only models that have it in every layer.");
        }

        binding = decoder.Session.CreateIoBinding();
        this.rows = rows;
        width = decoder.Cache.FixedWidth ?? Math.Max(256, (int)BitOperations.RoundUpToPowerOf2((uint)maxTokens));
        cache = [.. decoder.CacheNames.Select(_ => Tensor(decoder.Cache.Type, (long)rows * decoder.Cache.Heads * width * decoder.Cache.HeadSize))];
        ids = Tensor(decoder.TypeOf(decoder.Config.InputIds), rows * maxTokens);
        positions = Tensor(decoder.TypeOf(decoder.Config.PositionIds), rows * maxTokens);
        mask = Tensor(decoder.TypeOf(decoder.Config.AttentionMask), rows * maxTokens);
        logits = Tensor(decoder.Logits.ElementDataType, (long)rows * maxTokens * decoder.VocabularySize);
        mask.Span<long>(0, rows * maxTokens).Fill(1);
        for (int i = 0; i < cache.Length; i++)
        {
            using OrtValue view = cache[i].View(0, rows, decoder.Cache.Heads, width, decoder.Cache.HeadSize);
            binding.BindInput(decoder.CacheNames[i].Past, view);
            binding.BindOutput(decoder.CacheNames[i].Present, view);
        }
    }

    public void Restart() => length = 0;

    /// <summary>Appends the same tokens to every row.</summary>
    /// <returns>Time of ONNX Runtime's run, in seconds.</returns>
    public double Append(ReadOnlySpan<int> tokens)
    {
        for (int i = 0; i < rows * tokens.Length; i++)
        {
            ids.Span<long>(i, 1)[0] = tokens[i % tokens.Length];
            positions.Span<long>(i, 1)[0] = length + (i % tokens.Length);
        }

        length += tokens.Length;
        Bind(decoder.Config.InputIds, ids, tokens.Length);
        Bind(decoder.Config.PositionIds, positions, tokens.Length);
        Bind(decoder.Config.AttentionMask, mask, length);
        int given = decoder.GivesLastRowOnly ? 1 : tokens.Length;
        using OrtValue output = logits.View(0, rows, given, decoder.VocabularySize);
        binding.BindOutput(decoder.Config.Logits, output);
        long start = Stopwatch.GetTimestamp();
        decoder.Session.RunWithBinding(options, binding);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    public void Dispose()
    {
        binding.Dispose();
        options.Dispose();
        foreach (NativeTensor tensor in (NativeTensor[])[.. cache, ids, positions, mask, logits])
        {
            tensor.Dispose();
        }

        decoder.Dispose();
        graph.Dispose();
    }

    private static NativeTensor Tensor(Microsoft.ML.OnnxRuntime.Tensors.TensorElementType type, long elements)
    {
        NativeTensor tensor = new(type);
        tensor.Reserve(elements);
        return tensor;
    }

    private void Bind(string name, NativeTensor tensor, int columns)
    {
        if (decoder.Has(name))
        {
            using OrtValue view = tensor.View(0, rows, columns);
            binding.BindInput(name, view);
        }
    }
}
