using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;

namespace ProxyTune.Decoding.Models;

/// <summary>Builds the pipeline of retries, circuit breaker and timeout. The timeout applies to each attempt.</summary>
internal static class RemoteResilience
{
    /// <param name="onRetry">Called for each attempt after the first.</param>
    public static ResiliencePipeline<RemoteReply> Build(RemoteOptions options, Action onRetry)
    {
        ResiliencePipelineBuilder<RemoteReply> builder = new();
        if (options.Retries > 0)
        {
            builder.AddRetry(new RetryStrategyOptions<RemoteReply>
            {
                MaxRetryAttempts = options.Retries,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = options.RetryDelay,
                MaxDelay = options.LongestDelay,
                DelayGenerator = attempt => new(attempt.Outcome.Result?.RetryAfter),
                ShouldHandle = attempt => new(attempt.Outcome.Result is { } reply
                    ? reply.MayPass && !(reply.RetryAfter > options.LongestDelay)
                    : IsTrouble(attempt.Outcome.Exception)),
                OnRetry = _ =>
                {
                    onRetry();
                    return default;
                },
            });
        }

        return builder
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions<RemoteReply>
            {
                FailureRatio = options.Breaker.FailureRatio,
                MinimumThroughput = options.Breaker.Attempts,
                SamplingDuration = options.Breaker.Window,
                BreakDuration = options.Breaker.Open,
                ShouldHandle = attempt => new(attempt.Outcome.Result?.IsBroken ?? IsTrouble(attempt.Outcome.Exception)),
            })
            .AddTimeout(options.Timeout)
            .Build();
    }

    private static bool IsTrouble(Exception? error) => error is HttpRequestException or IOException or TimeoutRejectedException;
}
