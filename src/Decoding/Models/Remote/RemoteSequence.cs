using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Models;

/// <summary>A sequence of a remote model. Every request has the complete text; remotes have prefix caches of their own.</summary>
internal sealed class RemoteSequence(RemoteLanguageModel model, ReadOnlyMemory<int> prompt) : Sequence
{
    private readonly List<int> tokens = [.. prompt.Span];
    private int[] asked = [];
    private Task<RemoteRow>? fetch;
    private CancellationTokenSource? cancellation;

    public bool IsDisposed { get; private set; }

    public override int Length => tokens.Count;

    public override int Room => model.Info.ContextLength - Length;

    public override IReadOnlyList<int> EndOfTextIds => model.Info.EndOfTextIds;

    // This task completes even if the fetch fails; Append reports the failure.
    public override Task Expect(ReadOnlyMemory<int> tokens) => Task.WhenAny(Ask([.. this.tokens, .. tokens.Span]));

    /// <summary>Appends tokens and writes the next row. It waits for the row if it was not requested before.</summary>
    public void Append(ReadOnlySpan<int> appended, Span<float> row)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(appended.Length, Room, nameof(appended));
        tokens.AddRange(appended);
        try
        {
            RemoteRow known = Ask([.. tokens]).GetAwaiter().GetResult();
            known.Write(row);
            MaxMissing = known.MaxMissing;
        }
        catch (EngineException e)
        {
            Fault = e;
        }
    }

    public override void Rewind(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Length - prompt.Length);
        tokens.RemoveRange(Length - count, count);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing && !IsDisposed)
        {
            IsDisposed = true;
            Cancel();
            model.Release();
        }
    }

    private Task<RemoteRow> Ask(int[] wanted)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (fetch is not null && wanted.AsSpan().SequenceEqual(asked))
        {
            return fetch;
        }

        Cancel();
        CancellationTokenSource source = new();
        (asked, cancellation) = (wanted, source);

        // The fetch runs on another thread, since the caller's thread serves other requests.
        return fetch = Task.Run(() => model.Client.FetchAsync(wanted, source.Token));
    }

    private void Cancel()
    {
        cancellation?.Cancel();
        cancellation?.Dispose();
        cancellation = null;
    }
}
