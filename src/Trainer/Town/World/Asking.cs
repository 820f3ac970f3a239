namespace ProxyTune.Trainer.Town;

/// <summary>One kind of question about people.</summary>
/// <param name="all">All questions of the kind, for training; else some, for judging.</param>
internal delegate IEnumerable<Question> Asking(Random random, Entity person, bool all);

/// <summary>The kinds of questions that experts are tuned on.</summary>
internal static class Askings
{
    public static readonly Asking Public = (random, person, all) => Single(random, person, all, Kinds.PublicPeople);

    public static readonly Asking Private = (random, person, all) => Single(random, person, all, [Kinds.Fear]);

    /// <summary>Every ordered pair of attributes for training, three for judging.</summary>
    public static readonly Asking Pairs = (random, person, all) =>
    {
        (Attribute first, Attribute second)[] pairs = (from first in Kinds.PublicPeople from second in Kinds.PublicPeople where first != second select (first, second)).ToArray();
        random.Shuffle(pairs);
        return pairs.Take(all ? pairs.Length : 3).Select(pair => Question.Two(random, person, pair.first, pair.second));
    };

    public static IReadOnlyList<Asking> All { get; } = [Public, Private, Pairs];

    /// <summary>Every attribute; in every wording for training, in one for judging.</summary>
    private static IEnumerable<Question> Single(Random random, Entity person, bool all, Attribute[] attributes) =>
        from attribute in attributes
        from wording in all ? attribute.Questions : [random.Pick(attribute.Questions)]
        select new Question(person, [attribute], wording.Replace("{0}", person.Name, StringComparison.Ordinal));
}
