using System.Net.Http.Headers;
using System.Text;
using Polly;
using Polly.CircuitBreaker;
using Polly.Timeout;
using ProxyTune.Checkpoints;

namespace ProxyTune.Decoding.Models;

/// <summary>Requests the likeliest next tokens from a remote. Thread-safe.</summary>
internal sealed class RemoteClient : IDisposable
{
    private const int LongestAnswer = 1 << 20;

    // The tolerance for probabilities that a remote rounds.
    private const double MaxProbability = 1.01;
    private const int LongestQuote = 200;

    private readonly RemoteOptions options;
    private readonly RemotePromptWriter writer;
    private readonly RemoteVocabulary vocabulary;
    private readonly HttpClient http;
    private readonly ResiliencePipeline<RemoteReply> pipeline;
    private readonly RemoteMetrics metrics;
    private long calls;
    private long retries;
    private long failures;
    private long named;
    private long dropped;

    public RemoteClient(RemoteOptions options, RemotePromptWriter writer, RemoteVocabulary vocabulary)
    {
        this.options = options;
        this.writer = writer;
        this.vocabulary = vocabulary;
        http = new(new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) })
        {
            Timeout = System.Threading.Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = LongestAnswer,
        };
        if (options.Key is { } key)
        {
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key.Value);
        }

        metrics = new(options.Name);
        pipeline = RemoteResilience.Build(options, Retried);
    }

    public RemoteStatistics Statistics => new(
        Interlocked.Read(ref calls), Interlocked.Read(ref retries), Interlocked.Read(ref failures), Interlocked.Read(ref named), Interlocked.Read(ref dropped));

    /// <exception cref="EngineException">RemoteFailure or RemoteUnavailable, naming model, address and cause.</exception>
    /// <exception cref="OperationCanceledException">The row is no longer needed.</exception>
    public async Task<RemoteRow> FetchAsync(int[] tokens, CancellationToken cancellation)
    {
        Interlocked.Increment(ref calls);
        metrics.Called();
        try
        {
            byte[] body = writer.Write(tokens);
            RemoteReply reply = await pipeline.ExecuteAsync(async attempt => await SendAsync(body, attempt), cancellation);
            return reply.IsSuccess ? Read(reply) : throw Failure($"answered {(int)reply.Status} ({reply.Status}){Quote(reply.Body)}", retryAfter: reply.RetryAfter);
        }
        catch (Exception error) when (!cancellation.IsCancellationRequested)
        {
            Interlocked.Increment(ref failures);
            metrics.Failed();
            throw Explain(error);
        }
    }

    public void Dispose() => http.Dispose();

    private async Task<RemoteReply> SendAsync(byte[] body, CancellationToken cancellation)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, options.Endpoint) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using HttpResponseMessage response = await http.SendAsync(request, cancellation);
        TimeSpan? retryAfter = response.Headers.RetryAfter is { } header ? header.Delta ?? header.Date - DateTimeOffset.UtcNow : null;
        return new(response.StatusCode, await response.Content.ReadAsByteArrayAsync(cancellation), retryAfter < TimeSpan.Zero ? TimeSpan.Zero : retryAfter);
    }

    private void Retried()
    {
        Interlocked.Increment(ref retries);
        metrics.Retried();
    }

    private RemoteRow Read(RemoteReply reply)
    {
        IReadOnlyList<RemoteToken> tokens = RemoteAnswer.Read(reply.Body);
        RemoteRow row = RemoteRow.Of(tokens, options.TopLogprobs, vocabulary);
        Interlocked.Add(ref named, tokens.Count);
        Interlocked.Add(ref dropped, row.Dropped);
        metrics.Named(tokens.Count, row.Dropped);
        double sum = row.Logprobs.Sum(logprob => Math.Exp(logprob));
        if (sum > MaxProbability)
        {
            throw new FormatException(FormattableString.Invariant($"gave {row.Ids.Count} tokens probabilities that sum to {sum:0.###}; accepted are log-probabilities of one distribution, of a sum of at most 1"));
        }

        if (row.Ids.Count == 0 && row.Dropped < tokens.Count)
        {
            throw new FormatException($"gave none of its {tokens.Count} tokens a probability above 0");
        }

        return row.Ids.Count > 0 ? row : throw new FormatException(
            $"named {tokens.Count} tokens, such as '{Line(tokens[0].Text)}', of which none has one id in the tokenizer here; it must be the remote's own, and a remote that can name tokens by id should be asked to");
    }

    private EngineException Explain(Exception error) => error switch
    {
        EngineException known => known,
        BrokenCircuitException open => new(
            EngineError.RemoteUnavailable, $"The remote model {Name} failed too often and is not asked for now. The last cause: {Cause(open.InnerException)}")
        {
            RetryAfter = open.RetryAfter ?? options.Breaker.Open,
        },
        _ => Failure(Cause(error), error),
    };

    private string Cause(Exception? error) => error switch
    {
        TimeoutRejectedException => FormattableString.Invariant($"gave no answer within {options.Timeout.TotalSeconds} s"),
        FormatException => error.Message,
        HttpIOException or HttpRequestException { InnerException: HttpIOException or IOException } => $"broke its answer off: {Line(error.Message).TrimEnd('.')}",
        HttpRequestException { HttpRequestError: HttpRequestError.ConfigurationLimitExceeded } => $"answered with more than {LongestAnswer} bytes",
        null => "see the failures before",
        _ => $"cannot be reached: {Line(error.Message)}",
    };

    private EngineException Failure(string what, Exception? inner = null, TimeSpan? retryAfter = null) =>
        new(EngineError.RemoteFailure, $"The remote model {Name} {what}.", inner: inner) { RetryAfter = retryAfter };

    private string Name => $"'{options.Model}' at {options.Url.Authority}";

    private string Quote(byte[] body) => body.Length == 0 ? "" : $": {Line(Encoding.UTF8.GetString(body))}";

    /// <summary>Makes a remote's text safe for messages: one line, limited length, without the key.</summary>
    private string Line(string text)
    {
        string redacted = options.Key?.Redact(text) ?? text;
        string line = string.Concat(redacted.Select(c => char.IsControl(c) ? ' ' : c)).Trim();
        return line.Length <= LongestQuote ? line : line[..LongestQuote] + "...";
    }
}
