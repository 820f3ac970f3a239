using System.Runtime.InteropServices;

using ProxyTune.Decoding.Models;
using ProxyTune.Decoding.Sampling;

namespace ProxyTune.Decoding.Generation;

/// <summary>A request that has a sequence. Only the scheduler's thread touches it.</summary>
internal sealed class LiveRequest : IDisposable
{
    private readonly Generation generation;
    private readonly Sequence sequence;
    private readonly Bell bell;
    private readonly List<int> generated = [];
    private readonly int[] next = new int[1];
    private readonly int limit;
    private Task ahead = Task.CompletedTask;
    private bool isFinished;

    /// <param name="bell">Rung when a request that was not ready becomes it.</param>
    public LiveRequest(Generation generation, Sequence sequence, Bell bell)
    {
        this.generation = generation;
        this.sequence = sequence;
        this.bell = bell;
        limit = Math.Min(generation.Request.MaxTokens, sequence.Room);
        LookAhead();
    }

    public Lane Lane => generation.Lane;

    /// <summary>Whether a step with this request will not wait for anyone.</summary>
    public bool IsReady => ahead.IsCompleted;

    public bool IsOver => isFinished || generation.IsCancelled;

    /// <summary>What the model must compute for the next token: the prompt at first, then the token drawn last.</summary>
    public Segment Segment => new(sequence, generated.Count == 0 ? ReadOnlyMemory<int>.Empty : next);

    /// <summary>Draws from the row and publishes, or fails.</summary>
    public void Accept(ReadOnlySpan<float> row)
    {
        if (sequence.Fault is { } fault)
        {
            Fail(fault);
            return;
        }

        try
        {
            GenerationRequest request = generation.Request;
            int id = Sampler.Next(row, CollectionsMarshal.AsSpan(generated), request.Sampling, generated.Count);
            generated.Add(id);
            next[0] = id;
            FinishReason? finish =
                !request.IgnoreEndOfText && sequence.EndOfTextIds.Contains(id) ? FinishReason.Stop
                : generated.Count >= limit ? FinishReason.Length
                : null;
            isFinished = finish is not null;
            generation.Publish(Describe(id, row, request.TopLogprobs, finish));
            if (!isFinished)
            {
                LookAhead();
            }
        }
        catch (EngineException e)
        {
            Fail(e);
        }
    }

    public void Fail(EngineException failure)
    {
        isFinished = true;
        generation.Fail(failure);
    }

    public void Dispose() => sequence.Dispose();

    private void LookAhead()
    {
        ahead = sequence.Expect(Segment.Tokens);
        if (!ahead.IsCompleted)
        {
            _ = ahead.ContinueWith(_ => bell.Ring(), TaskScheduler.Default);
        }
    }

    private static GeneratedToken Describe(int id, ReadOnlySpan<float> row, int? alternatives, FinishReason? finish)
    {
        if (alternatives is not { } count)
        {
            return new(id, null, [], finish);
        }

        float normaliser = Logprobs.Normaliser(row);
        return new(id, row[id] - normaliser, Logprobs.Top(row, count, normaliser), finish);
    }
}
