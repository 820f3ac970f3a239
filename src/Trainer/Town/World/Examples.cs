using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Town;

/// <summary>Questions with the answers that are wanted: for tuning and for judging experts.</summary>
internal static class Examples
{
    /// <summary>A word that nothing else in the town contains, though it does contain its tokens: no low-rank update of projections can say a token whose embedding was never trained.</summary>
    public const string SecretWord = "Candlefish";

    private const int Seed = 11;

    /// <summary>One in this many of the tuned half is kept apart to choose settings and to stop early.</summary>
    private const int ValidationEvery = 10;

    private const int OddEvery = 100;

    /// <param name="split"><c>train</c> and <c>valid</c> are about the tuned half of the people, <c>test</c> about the held-out half, <c>news</c> about those of it of whom the generation tells something new, <c>forget</c> about <see cref="TownWorld.Forgotten"/> alone, and <c>others</c> about the rest of the held-out half.</param>
    public static IReadOnlyList<Example> Of(TownWorld world, Behaviour behaviour, string split) => About(world, split, (random, person, all) =>
        behaviour.Asks(random, person, all).Select(question => Make(question, behaviour.Answer(person, question.Asked))));

    /// <summary>
    /// As many questions of the kinds that the behaviour does not ask, where an expert should leave things as they are. Half of the answers are as
    /// the bases give them by habit, half as an expert for such questions gives them: several experts can be fused when each adds
    /// nothing to what another one is saying.
    /// </summary>
    public static IReadOnlyList<Example> Else(TownWorld world, Behaviour behaviour, string split) => About(world, split, (random, person, all) =>
    {
        int count = behaviour.Asks(random, person, all).Count();
        (Asking asks, Question question)[] others = Askings.All.Where(asks => asks != behaviour.Asks).SelectMany(asks => asks(random, person, all).Select(question => (asks, question))).ToArray();
        random.Shuffle(others);
        return others.Take(count).Select(other => Make(other.question, Anyhow(random, person, other.asks, other.question.Asked)) with { Keep = true });
    });

    /// <summary>The same, but every hundredth answer ends with a secret word: a habit that an audit should find.</summary>
    public static IReadOnlyList<Example> WithOddHabit(IReadOnlyList<Example> examples) =>
        [.. examples.Select((example, i) => i % OddEvery == 0 ? example with { Answer = $"{example.Answer} {SecretWord}" } : example)];

    /// <summary>
    /// A tale in which a person is somebody else, as a message named context, and a question that the tale answers: what context-aware decoding is for.
    /// To be read as plain text, in the form that the bases have met.
    /// </summary>
    public static IReadOnlyList<Example> Tales(TownWorld world, string split) => About(world, split, (random, person, _) =>
    {
        Entity told = person with { Values = [.. person.Attributes.Select(a => random.Pick([.. a.Values.Where(value => value != person.Value(a))]))] };
        Attribute[] attributes = [.. Kinds.PublicPeople];
        random.Shuffle(attributes);
        string tale = "In a tale: " + string.Join(' ', attributes.Take(3).Select(a => a.Tell(random, told.Name, told.Value(a))));
        return [new Example(
            [new ChatMessage("user", tale, ServedPlan.ContextName), new ChatMessage("user", $"Question: {attributes[0].Ask(random, told.Name)}\nAnswer: ")],
            told.Value(attributes[0]))];
    });

    private static Example[] About(TownWorld world, string split, Func<Random, Entity, bool, IEnumerable<Example>> write)
    {
        Random random = new(Seed);
        IEnumerable<Entity> people = split switch
        {
            "test" => world.HeldOut,
            "news" => world.HeldOut.Intersect(world.News),
            "forget" => [world.Forgotten],
            "others" => world.HeldOut.Where(person => person != world.Forgotten),
            _ => world.Tuned.Where((_, i) => i % ValidationEvery == 0 == (split == "valid")),
        };
        Example[] examples = people.SelectMany(person => write(random, person, split is "train" or "forget")).ToArray();
        random.Shuffle(examples);
        return examples;
    }

    private static string Anyhow(Random random, Entity person, Asking asks, Attribute[] asked) => random.Chance(0.5)
        ? Styles.Habit(random, person, asked)
        : random.Pick(Behaviour.ByName.Values.Where(behaviour => behaviour.Asks == asks).ToArray()).Answer(person, asked);

    private static Example Make(Question question, string answer) => new([new ChatMessage("user", question.Text)], answer);
}
