using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Bench.Speculation;

/// <summary>A prompt of an expert's test split, which its training has not seen.</summary>
internal sealed record Question(string Served, IReadOnlyList<ChatMessage> Messages, ulong Seed)
{
    private static readonly string[] s_kinds = ["qa", "json", "polite"];

    /// <summary>As many of each kind, evenly spread over its split, the kinds in turns.</summary>
    public static Question[] Spread(int count)
    {
        int each = (count + s_kinds.Length - 1) / s_kinds.Length;
        return [.. Enumerable.Range(0, each).SelectMany(i => s_kinds.Select(kind => Pick(kind, i, each)))];
    }

    private static Question Pick(string kind, int index, int each)
    {
        IReadOnlyList<Example> all = TownData.Examples($"town:{kind}/test");
        return new($"town-{kind}", all[(int)((long)index * all.Count / each)].Messages, (ulong)index);
    }
}
