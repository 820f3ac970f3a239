using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Town;

namespace ProxyTune.Bench.Speculation;

/// <summary>A prompt from the test split of an expert's data, which was not used in training.</summary>
internal sealed record Question(string Served, IReadOnlyList<ChatMessage> Messages, ulong Seed)
{
    private static readonly string[] Kinds = ["qa", "json", "polite"];

    /// <summary>Takes equally many prompts of each kind, evenly spread over the split. The kinds take turns.</summary>
    public static Question[] Spread(int count)
    {
        int each = (count + Kinds.Length - 1) / Kinds.Length;
        return [.. Enumerable.Range(0, each).SelectMany(i => Kinds.Select(kind => Pick(kind, i, each)))];
    }

    private static Question Pick(string kind, int index, int each)
    {
        IReadOnlyList<Example> all = TownData.Examples($"town:{kind}/test");
        return new($"town-{kind}", all[(int)((long)index * all.Count / each)].Messages, (ulong)index);
    }
}
