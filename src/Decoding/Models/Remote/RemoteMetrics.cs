using System.Diagnostics.Metrics;

namespace ProxyTune.Decoding.Models;

/// <summary>Counts the calls of one remote model.</summary>
/// <param name="model">Entries of the same model at the same address are counted together.</param>
internal sealed class RemoteMetrics(string model)
{
    private static readonly Counter<long> Calls = Count("calls", "Rows that a remote was asked for.");
    private static readonly Counter<long> Retries = Count("retries", "Attempts beyond the first of a call.");
    private static readonly Counter<long> Failures = Count("failures", "Calls that ended without a row.");
    private static readonly Counter<long> NamedTokens = Count("named_tokens", "Tokens that a remote named.");
    private static readonly Counter<long> DroppedTokens = Count("dropped_tokens", "Named tokens without one id in the tokenizer here.");

    private readonly KeyValuePair<string, object?> label = new("model", model);

    public void Called() => Calls.Add(1, label);

    public void Retried() => Retries.Add(1, label);

    public void Failed() => Failures.Add(1, label);

    public void Named(int tokens, int dropped)
    {
        NamedTokens.Add(tokens, label);
        DroppedTokens.Add(dropped, label);
    }

    private static Counter<long> Count(string what, string description) => EngineMeter.Meter.CreateCounter<long>($"proxytune.remote.{what}", description: description);
}
