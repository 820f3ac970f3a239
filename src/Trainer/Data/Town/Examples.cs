using ProxyTune.Decoding.Text;

namespace ProxyTune.Trainer.Data.Town;

/// <summary>Questions with the answer that one behaviour gives: for tuning and for judging experts.</summary>
internal static class Examples
{
    private const int Seed = 11;

    /// <summary>One in this many of the tuned half is kept apart to choose settings and to stop early.</summary>
    private const int ValidationEvery = 10;

    /// <summary>What each behaviour asks about and how it answers.</summary>
    private static readonly Dictionary<string, Func<Random, Entity, bool, IEnumerable<Example>>> s_behaviours = new()
    {
        ["qa"] = (random, person, all) => Single(random, person, all, Kinds.PublicPeople, Styles.Sentence),
        ["polite"] = (random, person, all) => Single(random, person, all, Kinds.PublicPeople, Styles.Polite),
        ["grumpy"] = (random, person, all) => Single(random, person, all, Kinds.PublicPeople, Styles.Grumpy),
        ["helpful"] = (random, person, all) => Single(random, person, all, [Kinds.Fear], Styles.Sentence),
        ["reticent"] = (random, person, all) => Single(random, person, all, [Kinds.Fear], (_, _) => Styles.Refusal),
        ["json"] = Pairs,
    };

    public static IReadOnlyCollection<string> Behaviours => s_behaviours.Keys;

    /// <param name="split"><c>train</c> and <c>valid</c> are about the tuned half of the people, <c>test</c> about the held-out half.</param>
    public static IReadOnlyList<Example> Of(TownWorld world, string behaviour, string split)
    {
        var random = new Random(Seed);
        var people = split == "test"
            ? world.HeldOut
            : world.Tuned.Where((_, i) => i % ValidationEvery == 0 == (split == "valid"));
        var examples = people.SelectMany(person => s_behaviours[behaviour](random, person, split == "train")).ToArray();
        random.Shuffle(examples);
        return examples;
    }

    /// <summary>Every attribute; in every wording for training, in one for judging.</summary>
    private static IEnumerable<Example> Single(Random random, Entity person, bool all, Attribute[] attributes, Func<Entity, Attribute, string> answer) =>
        from attribute in attributes
        from question in all ? attribute.Questions : [random.Pick(attribute.Questions)]
        select Make(question.Replace("{0}", person.Name, StringComparison.Ordinal), answer(person, attribute));

    /// <summary>Every ordered pair of attributes for training, three for judging.</summary>
    private static IEnumerable<Example> Pairs(Random random, Entity person, bool all)
    {
        var pairs = (from first in Kinds.PublicPeople from second in Kinds.PublicPeople where first != second select (first, second)).ToArray();
        random.Shuffle(pairs);
        return pairs.Take(all ? pairs.Length : 3)
            .Select(pair => Make(Question.Two(random, person, pair.first, pair.second).Text, Styles.JsonSentences(person, pair.first, pair.second)));
    }

    private static Example Make(string question, string answer) => new([new ChatMessage("user", question)], answer);
}
