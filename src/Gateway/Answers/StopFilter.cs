namespace ProxyTune.Gateway.Answers;

/// <summary>
/// Ends a text before the first stop string that completes, and never lets the beginning of one out while it may still complete.
/// The result does not depend on how the text is cut into pieces.
/// </summary>
internal sealed class StopFilter(IReadOnlyList<string> stops)
{
    private string held = "";

    /// <summary>A stop string was met; what follows is not part of the answer.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Takes the next piece and returns the text that is now certain.</summary>
    public string Append(string piece)
    {
        if (Stopped)
        {
            return "";
        }

        held += piece;
        if (FirstToComplete() is { } start)
        {
            Stopped = true;
            return Release(start);
        }

        return Release(held.Length - LongestOpenPrefix());
    }

    /// <summary>No more text comes: what was held back is text after all.</summary>
    public string Flush() => Stopped ? "" : Release(held.Length);

    /// <summary>By where they end, not where they begin: so the answer is the same when it arrives letter by letter.</summary>
    private int? FirstToComplete() =>
        stops.Select(stop => (Start: held.IndexOf(stop, StringComparison.Ordinal), stop.Length))
            .Where(match => match.Start >= 0)
            .OrderBy(match => match.Start + match.Length)
            .ThenBy(match => match.Start)
            .Select(match => (int?)match.Start)
            .FirstOrDefault();

    private int LongestOpenPrefix()
    {
        int longest = 0;
        foreach (string stop in stops)
        {
            for (int length = Math.Min(stop.Length - 1, held.Length); length > longest; length--)
            {
                if (held.EndsWith(stop[..length], StringComparison.Ordinal))
                {
                    longest = length;
                }
            }
        }

        return longest;
    }

    private string Release(int length)
    {
        string text = held[..length];
        held = held[length..];
        return text;
    }
}
