namespace ProxyTune.Bench;

/// <summary>The passes that one fused token needs, one member after another as the engine runs them.</summary>
internal sealed class BareMembers(Family family, int rows, int mostTokens) : IDisposable
{
    private readonly BareDecoder[] members = [.. family.Members.Select(folder => new BareDecoder(folder, rows, mostTokens))];

    /// <returns>Seconds of all passes of one step, as a mean over the steps after the prompt.</returns>
    public double Decode(ReadOnlySpan<int> prompt, int steps)
    {
        foreach (BareDecoder member in members)
        {
            member.Restart();
            member.Append(prompt);
        }

        double total = 0;
        for (int i = 0; i < steps; i++)
        {
            foreach (BareDecoder member in members)
            {
                total += member.Append(prompt[..1]);
            }
        }

        return total / steps;
    }

    public void Dispose()
    {
        foreach (BareDecoder member in members)
        {
            member.Dispose();
        }
    }
}
