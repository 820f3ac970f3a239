using LLama.Native;

namespace ProxyTune.Peers;

/// <summary>A GGUF file loaded by llama.cpp, with a context for several sequences of one length.</summary>
internal sealed class LlamaModel : IDisposable
{
    private const uint MaxPrompt = 2048;

    private readonly SafeLlamaModelHandle weights;
    private readonly LLamaBatch batch = new();
    private readonly List<int> rows = [];

    static LlamaModel()
    {
        // Only errors are printed because the log is long.
        NativeLibraryConfig.All.WithAutoFallback(true).WithLogCallback((level, message) =>
        {
            if (level == LLamaLogLevel.Error)
            {
                Console.Error.Write(message);
            }
        });
        NativeApi.llama_empty_call();
    }

    public LlamaModel(string path, int sequences, int maxTokens)
    {
        weights = SafeLlamaModelHandle.LoadFromFile(path, LLamaModelParams.Default());
        LLamaContextParams options = LLamaContextParams.Default();
        options.n_seq_max = (uint)sequences;
        options.n_ctx = (uint)(sequences * maxTokens);
        options.n_batch = MaxPrompt;
        options.n_threads = options.n_threads_batch = Environment.ProcessorCount;
        Context = SafeLLamaContextHandle.Create(weights, options);
    }

    private SafeLLamaContextHandle Context { get; }

    public void Restart() => Context.MemoryClear(false);

    /// <summary>Appends tokens to each sequence and computes the logits of the last one.</summary>
    /// <param name="position">Position of the first appended token.</param>
    public void Append(int[][] tokens, int position)
    {
        batch.Clear();
        rows.Clear();
        for (int sequence = 0; sequence < tokens.Length; sequence++)
        {
            for (int i = 0; i < tokens[sequence].Length; i++)
            {
                int place = batch.Add(tokens[sequence][i], position + i, (LLamaSeqId)sequence, i + 1 == tokens[sequence].Length);
                if (i + 1 == tokens[sequence].Length)
                {
                    rows.Add(place);
                }
            }
        }

        DecodeResult result = Context.Decode(batch);
        if (result != DecodeResult.Ok)
        {
            throw new InvalidOperationException($"llama.cpp returned {result} for a batch of {batch.TokenCount} tokens.");
        }
    }

    public ReadOnlySpan<float> Logits(int sequence) => Context.GetLogitsIth(rows[sequence]);

    public void Dispose()
    {
        Context.Dispose();
        weights.Dispose();
    }
}
