using System.Numerics.Tensors;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Gateway.Experts;

/// <summary>Runs a model for the first time: decodes a few tokens and renders its template.</summary>
internal static class ModelProbe
{
    // Whether the server has memory for a whole context is not checked here.
    private const long Boundless = 1L << 50;

    private const int Prompt = 8, Steps = 4, LongText = 1 << 16;

    private static readonly ChatMessage[][] Conversations =
    [
        [new("user", "Hello")],
        [new("system", "Be brief."), new("user", "Hello"), new("assistant", "Hello."), new("user", "And now?")],
        [.. Enumerable.Range(0, 100).Select(i => new ChatMessage(i % 2 == 0 ? "user" : "assistant", $"Message {i}: {new string('x', 100)}"))],
    ];

    /// <exception cref="EngineException">InvalidExpert or InvalidModelFolder, naming what went wrong.</exception>
    public static void Run(string folder)
    {
        using Tokenizer tokenizer = Tokenizer.Load(folder);
        foreach (string text in (string[])["Hello, world", new string('a', LongText), new string(' ', LongText)])
        {
            tokenizer.Encode(text);
        }

        Render(folder);
        using OnnxLanguageModel model = OnnxLanguageModel.Load(folder, new() { Threads = 1, MaxSequences = 2 }, memory: new KeyValueMemory(Boundless));
        int words = model.Info.VocabularySize;
        int[] tokens = [.. Enumerable.Range(0, Math.Min(Prompt, model.Info.ContextLength - Steps - 1)).Select(i => (int)((long)i * words / Prompt))];
        using Sequence sequence = model.Start(Decoding.Models.Prompt.For(model, tokens) with { MaxAppended = Steps + 1 });
        ReadOnlyMemory<int> next = ReadOnlyMemory<int>.Empty;
        for (int step = 0; step <= Steps; step++)
        {
            ReadOnlySpan<float> row = model.Forward([new Segment(sequence, next)]).Row(0).Span;
            if (sequence.Fault is { } fault)
            {
                throw new EngineException(EngineError.InvalidExpert, $"The model fails at token {step}: {fault.Message}", "file", fault);
            }

            if (!TensorPrimitives.IsFiniteAll(row))
            {
                throw new EngineException(EngineError.InvalidExpert, $"The model gives NaN or infinity as logits of token {step}.", "file");
            }

            next = new[] { TensorPrimitives.IndexOfMax(row) };
        }
    }

    // A template may refuse a conversation, for example one with a system message, but not the simplest one.
    private static void Render(string folder)
    {
        if (ChatTemplate.TryLoad(folder) is not { } template)
        {
            return;
        }

        foreach (ChatMessage[] conversation in Conversations)
        {
            try
            {
                template.Render(conversation);
            }
            catch (EngineException) when (conversation.Length > 1)
            {
            }
        }
    }
}
