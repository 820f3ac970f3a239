using ProxyTune.Checkpoints;
using ProxyTune.Decoding.Models;

namespace ProxyTune.Testing;

/// <summary>A fake model whose row at a position is an exact function of the tokens up to it. It counts its calls.</summary>
public sealed class FakeLanguageModel(string name, int vocabularySize = 32, int contextLength = 64, params int[] endOfTextIds) : ILanguageModel
{
    private readonly Func<IReadOnlyList<int>, Task>? expect;
    private int liveSequences;
    private int forwards;
    private int released;

    public ModelInfo Info { get; private set; } = new()
    {
        Name = name,
        VocabularySize = vocabularySize,
        ContextLength = contextLength,
        EndOfTextIds = endOfTextIds,
        Hash = name,
    };

    public IReadOnlyList<int> EndOfTextIds
    {
        get => Info.EndOfTextIds;
        set => Info = Info with { EndOfTextIds = value };
    }

    /// <summary>Makes the model remote: returns the task that the row after these tokens waits for.</summary>
    public Func<IReadOnlyList<int>, Task>? Expect
    {
        get => expect;
        init => (expect, Info) = (value, Info with { IsRemote = true });
    }

    /// <summary>Fills a row from all tokens so far. The default writes logits from about -4 to 4 that depend on every token and on the model's name.</summary>
    public Action<IReadOnlyList<int>, Span<float>>? Rows { get; init; }

    /// <summary>Number of likeliest tokens whose log-probabilities a row contains, as in the answer of a remote. Null: rows contain all tokens.</summary>
    public int? TopTokens { get; init; }

    /// <summary>Beside TopTokens: the likeliest token is named by a text that no single token has, so it stays unknown.</summary>
    public bool DropsLikeliest { get; init; }

    /// <summary>Runs first in each Forward. A test uses it to throw, to wait, or to inspect the batch.</summary>
    public Action<IReadOnlyList<Segment>>? OnForward { get; set; }

    /// <summary>Whether Prefill computes parts of prompts. If false, Forward computes prompts as a whole.</summary>
    public bool ComputesPromptsInPieces { get; init; }

    /// <summary>Runs in each Prefill that computes positions. It gets the tokens and the number of positions.</summary>
    public Action<IReadOnlyList<int>, int>? OnPrefill { get; set; }

    /// <summary>Runs at the end of a sequence, which it gets the tokens of. A test uses it to throw.</summary>
    public Action<IReadOnlyList<int>>? OnDispose { get; set; }

    /// <summary>Runs when the pending prompt tokens of a sequence are asked for. It gets the tokens.</summary>
    public Action<IReadOnlyList<int>>? OnPending { get; set; }

    /// <summary>Number of calls of Prefill that computed positions.</summary>
    public int Prefills { get; private set; }

    /// <summary>Largest number of live sequences. Start throws QueueFull when it is reached.</summary>
    public int MaxSequences { get; init; } = int.MaxValue;

    public int LiveSequences => Volatile.Read(ref liveSequences);

    /// <summary>Number of calls of Forward.</summary>
    public int Forwards => Volatile.Read(ref forwards);

    /// <summary>Number of releases of rows.</summary>
    public int Released => Volatile.Read(ref released);

    public bool IsDisposed { get; private set; }

    public Sequence Start(Prompt prompt)
    {
        if (liveSequences >= MaxSequences)
        {
            throw new EngineException(EngineError.QueueFull, $"Model '{Info.Name}' has {liveSequences} live sequences, and {MaxSequences} are allowed.");
        }

        Interlocked.Increment(ref liveSequences);
        return new FakeSequence(this, prompt.Streams[0].ToArray());
    }

    public int Prefill(Sequence sequence, int positions)
    {
        FakeSequence own = (FakeSequence)sequence;
        if (own.Pending <= positions)
        {
            return 0;
        }

        Prefills++;
        OnPrefill?.Invoke(own.Tokens, positions);
        own.Prefill(positions);
        return positions;
    }

    public RowBatch Forward(IReadOnlyList<Segment> batch)
    {
        Interlocked.Increment(ref forwards);
        OnForward?.Invoke(batch);
        HostRows rows = new HostRows(_ => Interlocked.Increment(ref released)).Resize(batch.Sum(segment => segment.Rows), Info.VocabularySize);
        int next = 0;
        foreach (Segment segment in batch)
        {
            FakeSequence sequence = (FakeSequence)segment.Sequence;
            sequence.Append(segment);
            for (int row = segment.Rows - 1; row >= 0; row--)
            {
                Fill(sequence.Tokens.GetRange(0, sequence.Tokens.Count - row), rows.Write(next));
                if (TopTokens is { } count)
                {
                    sequence.Truncate(rows.Write(next), count);
                }

                next++;
            }
        }

        return rows;
    }

    public void Dispose() => IsDisposed = true;

    private void Fill(List<int> tokens, Span<float> row)
    {
        if (Rows is not null)
        {
            Rows(tokens, row);
            return;
        }

        ulong state = 14695981039346656037;
        foreach (int value in Info.Name.Select(c => (int)c).Concat(tokens))
        {
            state = (state ^ (uint)value) * 1099511628211;
        }

        for (int i = 0; i < row.Length; i++)
        {
            state = (state * 6364136223846793005) + 1442695040888963407;
            row[i] = ((state >> 40) / (float)(1 << 21)) - 4;
        }
    }

    private sealed class FakeSequence(FakeLanguageModel model, int[] prompt) : Sequence
    {
        private int computed;
        private bool isDisposed;

        public List<int> Tokens { get; } = [.. prompt];

        public override int Length => Tokens.Count;

        public override int Pending
        {
            get
            {
                model.OnPending?.Invoke(Tokens);
                return model.ComputesPromptsInPieces ? prompt.Length - computed : 0;
            }
        }

        public override int Room => model.Info.ContextLength - Tokens.Count;

        public override IReadOnlyList<int> EndOfTextIds => model.Info.EndOfTextIds;

        public override Task Expect(ReadOnlyMemory<int> tokens) => model.Expect?.Invoke([.. Tokens, .. tokens.Span]) ?? Task.CompletedTask;

        public void Truncate(Span<float> row, int count)
        {
            float[] scores = row.ToArray();
            double normaliser = Math.Log(scores.Sum(score => Math.Exp(score)));
            int[] named = [.. Enumerable.Range(0, scores.Length).OrderByDescending(id => scores[id]).Take(count)];
            row.Fill(float.NegativeInfinity);
            foreach (int id in named.Skip(model.DropsLikeliest ? 1 : 0))
            {
                row[id] = (float)(scores[id] - normaliser);
            }

            MaxMissing = (float)(scores[model.DropsLikeliest ? named[0] : named[^1]] - normaliser);
        }

        public void Append(Segment segment)
        {
            ObjectDisposedException.ThrowIf(isDisposed, this);
            int positions = segment.Tokens.Length + prompt.Length - computed;
            ArgumentOutOfRangeException.ThrowIfGreaterThan(segment.Rows, positions, nameof(segment));
            ArgumentOutOfRangeException.ThrowIfGreaterThan(segment.Tokens.Length, Room, nameof(segment));
            Tokens.AddRange(segment.Tokens.Span);
            computed = prompt.Length;
        }

        public void Prefill(int positions)
        {
            ObjectDisposedException.ThrowIf(isDisposed, this);
            computed += positions;
        }

        public override void Rewind(int count)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Tokens.Count - prompt.Length);
            Tokens.RemoveRange(Tokens.Count - count, count);
        }

        protected override void Dispose(bool disposing)
        {
            if (!isDisposed)
            {
                isDisposed = true;
                Interlocked.Decrement(ref model.liveSequences);
                model.OnDispose?.Invoke(Tokens);
            }
        }
    }
}
