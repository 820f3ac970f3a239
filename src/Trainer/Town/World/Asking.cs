namespace ProxyTune.Trainer.Town;

/// <summary>Writes the questions of one kind about a person.</summary>
/// <param name="all">True writes all questions of the kind, for training; false writes some of them, for evaluation.</param>
internal delegate IEnumerable<Question> Asking(Random random, Entity person, bool all);

/// <summary>The kinds of questions that experts are tuned on.</summary>
internal static class Askings
{
    public static readonly Asking Public = (random, person, all) => Single(random, person, all, Kinds.PublicPeople);

    public static readonly Asking Private = (random, person, all) => Single(random, person, all, [Kinds.Fear]);

    /// <summary>Training uses every ordered pair of attributes, evaluation uses three pairs.</summary>
    public static readonly Asking Pairs = (random, person, all) =>
    {
        (Attribute first, Attribute second)[] pairs = (from first in Kinds.PublicPeople from second in Kinds.PublicPeople where first != second select (first, second)).ToArray();
        random.Shuffle(pairs);
        return pairs.Take(all ? pairs.Length : 3).Select(pair => Question.Two(random, person, pair.first, pair.second));
    };

    public static IReadOnlyList<Asking> All { get; } = [Public, Private, Pairs];

    /// <summary>Asks about every attribute. Training uses every wording, evaluation uses one.</summary>
    private static IEnumerable<Question> Single(Random random, Entity person, bool all, Attribute[] attributes) =>
        from attribute in attributes
        from wording in all ? attribute.Questions : [random.Pick(attribute.Questions)]
        select new Question(person, [attribute], wording.Replace("{0}", person.Name, StringComparison.Ordinal));
}
