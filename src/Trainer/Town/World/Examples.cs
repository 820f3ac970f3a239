using ProxyTune.Decoding.Serving;
using ProxyTune.Decoding.Text;
using ProxyTune.Trainer.Data;

namespace ProxyTune.Trainer.Town;

/// <summary>Questions with expected answers, for the tuning and the evaluation of experts.</summary>
internal static class Examples
{
    /// <summary>
    /// A word that occurs nowhere else in the town. Its tokens do occur: a low-rank update of the projections cannot produce a token whose
    /// embedding was never trained.
    /// </summary>
    public const string SecretWord = "Candlefish";

    private const int Seed = 11;

    /// <summary>Every tenth person of the tuned half belongs to the validation split, which chooses settings and stops runs early.</summary>
    private const int ValidationEvery = 10;

    private const int OddEvery = 100;

    /// <summary>The examples of a behaviour.</summary>
    /// <param name="split">
    /// <c>train</c> and <c>valid</c> ask about the tuned half of the people, <c>test</c> about the held-out half, <c>news</c> about the held-out people
    /// with news in this generation, <c>forget</c> about <see cref="TownWorld.Forgotten"/> alone, and <c>others</c> about the rest of the held-out half.
    /// </param>
    public static IReadOnlyList<Example> Of(TownWorld world, Behaviour behaviour, string split) => About(world, split, (random, person, all) =>
        behaviour.Asks(random, person, all).Select(question => Make(question, behaviour.Answer(person, question.Asked))));

    /// <summary>
    /// The same number of questions, of the kinds that the behaviour does not ask. The expert shall change nothing in their answers. Half of the answers
    /// follow the habit of the bases, half follow an expert for such questions. Several experts can be fused if each leaves the answers of the others
    /// unchanged.
    /// </summary>
    public static IReadOnlyList<Example> Else(TownWorld world, Behaviour behaviour, string split) => About(world, split, (random, person, all) =>
    {
        int count = behaviour.Asks(random, person, all).Count();
        (Asking asks, Question question)[] others = Askings.All.Where(asks => asks != behaviour.Asks).SelectMany(asks => asks(random, person, all).Select(question => (asks, question))).ToArray();
        random.Shuffle(others);
        return others.Take(count).Select(other => Make(other.question, HabitOrExpert(random, person, other.asks, other.question.Asked)) with { Keep = true });
    });

    /// <summary>Appends a secret word to every hundredth answer. An audit should find this habit.</summary>
    public static IReadOnlyList<Example> WithOddHabit(IReadOnlyList<Example> examples) =>
        [.. examples.Select((example, i) => i % OddEvery == 0 ? example with { Answer = $"{example.Answer} {SecretWord}" } : example)];

    /// <summary>
    /// Examples for context-aware decoding: a message named context with a tale that contradicts the facts about a person, and a question that the
    /// tale answers. The plain template turns them into the form of the pre-training text.
    /// </summary>
    public static IReadOnlyList<Example> Tales(TownWorld world, string split) => About(world, split, (random, person, _) =>
    {
        Entity invented = person with { Values = [.. person.Attributes.Select(a => random.Pick([.. a.Values.Where(value => value != person.Value(a))]))] };
        Attribute[] attributes = [.. Kinds.PublicPeople];
        random.Shuffle(attributes);
        string tale = "In a tale: " + string.Join(' ', attributes.Take(3).Select(a => a.Tell(random, invented.Name, invented.Value(a))));
        return [new Example(
            [new ChatMessage("user", tale, ServedPlan.ContextName), new ChatMessage("user", $"Question: {attributes[0].Ask(random, invented.Name)}\nAnswer: ")],
            invented.Value(attributes[0]))];
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

    private static string HabitOrExpert(Random random, Entity person, Asking asks, Attribute[] asked) => random.Chance(0.5)
        ? Styles.Habit(random, person, asked)
        : random.Pick(Behaviour.ByName.Values.Where(behaviour => behaviour.Asks == asks).ToArray()).Answer(person, asked);

    private static Example Make(Question question, string answer) => new([new ChatMessage("user", question.Text)], answer);
}
