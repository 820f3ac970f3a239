using System.Diagnostics.Metrics;

namespace ProxyTune.Decoding.Generation;

/// <summary>How answers ended; a request for n choices has n answers.</summary>
internal static class RequestMetrics
{
    private static readonly Counter<long> Requests = EngineMeter.Meter.CreateCounter<long>(
        "proxytune.answers", description: "Answers that ended, by outcome: stop, length, failed, or cancelled (by the client, or by a stop string).");

    public static void Finished(FinishReason reason) => Ended(reason == FinishReason.Stop ? "stop" : "length");

    public static void Failed() => Ended("failed");

    public static void Cancelled() => Ended("cancelled");

    private static void Ended(string outcome) => Requests.Add(1, new KeyValuePair<string, object?>("outcome", outcome));
}
