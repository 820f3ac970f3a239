using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Text;

namespace ProxyTune.Decoding.Models;

/// <summary>
/// A model behind an OpenAI-compatible completions endpoint that returns the log-probabilities of its likeliest next tokens. A row has
/// these, and minus infinity for all other tokens, which fusion treats as banned. <see cref="Fusion.MissingTokens"/> bounds the error.
/// </summary>
/// <remarks>One row per call. <see cref="Sequence.Expect"/> sends the request; Forward takes the answer, and waits only if no request was sent before.</remarks>
public sealed class RemoteLanguageModel : ILanguageModel
{
    private readonly ConcurrentBag<HostRows> free = [];
    private int liveSequences;

    /// <param name="tokenizer">The remote's tokenizer, read from a local folder. The caller disposes it.</param>
    /// <param name="contextLength">The remote's context length in tokens.</param>
    /// <param name="endOfTextIds">The ids that end its texts.</param>
    public RemoteLanguageModel(RemoteOptions options, Tokenizer tokenizer, int contextLength, IReadOnlyList<int> endOfTextIds)
    {
        Options = options;
        Client = new(options, new(options, tokenizer), new(tokenizer, wholeCharactersOnly: options.Prompt == RemotePrompt.Text));
        Info = new()
        {
            Name = options.Name,
            VocabularySize = tokenizer.VocabularySize,
            ContextLength = contextLength,
            EndOfTextIds = endOfTextIds,

            // The weights are unknown here, so address and name identify a remote.
            Hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{options.Endpoint}\n{options.Model}"))),
            IsRemote = true,
        };
    }

    public RemoteOptions Options { get; }

    public ModelInfo Info { get; }

    public RemoteStatistics Statistics => Client.Statistics;

    /// <summary>The number of sequences that are not disposed yet.</summary>
    public int LiveSequences => Volatile.Read(ref liveSequences);

    internal RemoteClient Client { get; }

    public Sequence Start(Prompt prompt)
    {
        ArgumentOutOfRangeException.ThrowIfZero(prompt.TokenCount, nameof(prompt));
        if (prompt.Plan.Streams[0].Patch is { } patch)
        {
            throw new ArgumentException($"Nothing can be added to the weights of '{Info.Name}', which run elsewhere, such as {patch.Name}.", nameof(prompt));
        }

        if (prompt.TokenCount > Info.ContextLength)
        {
            throw new EngineException(EngineError.PromptTooLong, $"The prompt has {prompt.TokenCount} tokens; '{Info.Name}' holds {Info.ContextLength}.", "prompt");
        }

        Interlocked.Increment(ref liveSequences);
        return new RemoteSequence(this, prompt.Streams[0]);
    }

    public RowBatch Forward(IReadOnlyList<Segment> batch)
    {
        HostRows rows = free.TryTake(out HostRows? known) ? known : new(free.Add);
        rows.Resize(batch.Count, Info.VocabularySize);
        for (int i = 0; i < batch.Count; i++)
        {
            ArgumentOutOfRangeException.ThrowIfNotEqual(batch[i].Rows, 1, nameof(batch));
            ((RemoteSequence)batch[i].Sequence).Append(batch[i].Tokens.Span, rows.Write(i));
        }

        return rows;
    }

    public void Dispose() => Client.Dispose();

    internal void Release() => Interlocked.Decrement(ref liveSequences);
}
