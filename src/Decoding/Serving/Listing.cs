namespace ProxyTune.Decoding.Serving;

/// <summary>Lists names in a message, at most the first 50.</summary>
internal static class Listing
{
    private const int MaxNames = 50;

    public static string Of(IEnumerable<string> names)
    {
        string[] all = [.. names];
        return all.Length == 0 ? "none"
            : all.Length <= MaxNames ? string.Join(", ", all)
            : $"{string.Join(", ", all.Take(MaxNames))} and {all.Length - MaxNames} more";
    }
}
