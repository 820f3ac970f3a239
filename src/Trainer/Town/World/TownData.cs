using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Town;

/// <summary>The built-in data: a synthetic town, which is the same on every machine. The names of its sources begin with <c>town:</c>.</summary>
public static class TownData
{
    private const string Prefix = "town:";

    /// <summary>The share of documents about people that tell news, in the streams of later generations. The others repeat older facts.</summary>
    private const double NewsShare = 0.6;

    private static readonly Dictionary<string, Func<TownWorld, string, IReadOnlyList<Example>>> Readers = new(
        Behaviour.ByName.SelectMany(named => Variants(named.Key, named.Value)))
    {
        ["tale"] = Town.Examples.Tales,
    };

    /// <summary>The town as built-in data for settings files.</summary>
    public static BuiltInData BuiltIn { get; } = new(Prefix, Documents, Examples);

    /// <summary>Opens an endless stream of pre-training documents by index.</summary>
    /// <param name="name"><c>town:pretrain</c>, or <c>town:pretrain/1</c> to <c>town:pretrain/3</c> for later generations.</param>
    /// <exception cref="ArgumentException">Unknown name.</exception>
    public static Func<long, string> Documents(string name) => Parts(name) switch
    {
        ["pretrain"] => new Documents(TownWorld.At(0), newsShare: 0).Write,
        ["pretrain", ("1" or "2" or "3") and var generation] => new Documents(TownWorld.At(generation[0] - '0'), NewsShare).Write,
        _ => throw Unknown(name, "town:pretrain, town:pretrain/1, town:pretrain/2, town:pretrain/3"),
    };

    /// <param name="name">
    /// <c>town:BEHAVIOUR/SPLIT</c> for the examples of a behaviour; <c>town:else-BEHAVIOUR/SPLIT</c> for the same number of questions of other kinds,
    /// whose answers tuning shall not change; <c>town:BEHAVIOUR-habit/SPLIT</c> for the behaviour with an odd habit in every hundredth answer;
    /// <c>town:tale/SPLIT</c> for questions after a context that contradicts the town. SPLIT is train, valid or test; forget is one person of test, and
    /// others is the rest of test. <c>/1</c> to <c>/3</c> after the split select the facts of a later generation, which also has the split news: the
    /// people of test with news.
    /// </param>
    /// <exception cref="ArgumentException">Unknown name.</exception>
    public static IReadOnlyList<Example> Examples(string name) => Parts(name) switch
    {
        [var kind, ("train" or "valid" or "test" or "forget" or "others") and var split] when Readers.TryGetValue(kind, out Func<TownWorld, string, IReadOnlyList<Example>>? examples) => examples(TownWorld.At(0), split),
        [var kind, ("train" or "valid" or "test" or "news") and var split, ("1" or "2" or "3") and var generation] when Readers.TryGetValue(kind, out Func<TownWorld, string, IReadOnlyList<Example>>? examples) =>
            examples(TownWorld.At(generation[0] - '0'), split),
        _ => throw Unknown(name, $"town:BEHAVIOUR/SPLIT, town:else-BEHAVIOUR/SPLIT, town:BEHAVIOUR-habit/SPLIT and town:tale/SPLIT with a behaviour of {string.Join(", ", Behaviour.ByName.Keys)} and a split of train, valid, test, forget, others, and SPLIT/1 to SPLIT/3 of later generations, with a split of news too"),
    };

    private static Dictionary<string, Func<TownWorld, string, IReadOnlyList<Example>>> Variants(string name, Behaviour behaviour) => new()
    {
        [name] = (world, split) => Town.Examples.Of(world, behaviour, split),
        [$"else-{name}"] = (world, split) => Town.Examples.Else(world, behaviour, split),
        [$"{name}-habit"] = (world, split) => Town.Examples.WithOddHabit(Town.Examples.Of(world, behaviour, split)),
    };

    private static string[] Parts(string name) => name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..].Split('/') : [];

    private static ArgumentException Unknown(string name, string accepted) => new($"Unknown data source '{name}'; accepted: {accepted}.", nameof(name));
}
