namespace ProxyTune.Decoding.Serving;

/// <summary>Names in a message: of thousands, the first.</summary>
internal static class Listing
{
    private const int Most = 50;

    public static string Of(IEnumerable<string> names)
    {
        string[] all = [.. names];
        return all.Length == 0 ? "none"
            : all.Length <= Most ? string.Join(", ", all)
            : $"{string.Join(", ", all.Take(Most))} and {all.Length - Most} more";
    }
}
