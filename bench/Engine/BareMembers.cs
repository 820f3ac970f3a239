namespace ProxyTune.Bench;

/// <summary>Runs the forward passes that one fused token needs, one model after another as the engine does.</summary>
internal sealed class BareMembers(Family family, int rows, int maxTokens) : IDisposable
{
    private readonly BareDecoder[] members = [.. family.Members.Select(folder => new BareDecoder(folder, rows, maxTokens))];

    /// <returns>Mean time of all passes of one step after the prompt, in seconds.</returns>
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
