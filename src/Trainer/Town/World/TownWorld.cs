namespace ProxyTune.Trainer.Town;

/// <summary>
/// The people, places and animals of the town and the facts about them, drawn from a fixed seed. Generations 1 to 3 are later years. In each of them some
/// people move to another street, some change their job, and newcomers arrive. A base learns these changes by continued pre-training.
/// </summary>
internal sealed class TownWorld
{
    public const int PeopleCount = 400;
    private const int Seed = 20_240_116;
    private const int NewcomersPerGeneration = 40;
    private const int ChangedPerGeneration = 60;

    private static readonly Lazy<TownWorld>[] Generations =
        [.. Enumerable.Range(0, 4).Select(generation => new Lazy<TownWorld>(() => new TownWorld(generation)))];

    private TownWorld(int generation)
    {
        Random random = new(Seed);
        string[] firstNames = [.. Words.WomenNames, .. Words.MenNames];
        (string Name, bool Woman)[] names = firstNames.SelectMany((first, i) => Words.LastNames.Select(last => (Name: $"{first} {last}", Woman: i < Words.WomenNames.Length))).ToArray();
        random.Shuffle(names);

        Places = Draw(random, Kinds.Places, PlaceNames(random), _ => "it");
        Animals = Draw(random, Kinds.Animals, [.. Kinds.AnimalNames.Select(name => "the " + name)], _ => "it");
        List<Entity> people = Draw(random, Kinds.People, [.. names.Take(PeopleCount).Select(n => n.Name)], i => names[i].Woman ? "she" : "he").ToList();
        HashSet<int> news = new();
        for (int year = 1; year <= generation; year++)
        {
            news.Clear();
            for (int change = 0; change < ChangedPerGeneration; change++)
            {
                int index = random.Next(people.Count);
                int attribute = random.Next(2); // Job or street. The other attributes of a person do not change.
                string[] values = (string[])people[index].Values.Clone();
                values[attribute] = random.Pick(Kinds.People[attribute].Values);
                people[index] = people[index] with { Values = values };
                news.Add(index);
            }

            for (int newcomer = 0; newcomer < NewcomersPerGeneration; newcomer++)
            {
                (string? name, bool woman) = names[people.Count];
                news.Add(people.Count);
                people.Add(new Entity(name, woman ? "she" : "he", Kinds.People, DrawValues(random, Kinds.People)));
            }
        }

        People = [.. people];
        News = [.. news.Order().Select(i => People[i])];
    }

    public Entity[] People { get; }

    /// <summary>The people with new facts in this generation; empty for generation 0.</summary>
    public Entity[] News { get; }

    public Entity[] Places { get; }

    public Entity[] Animals { get; }

    /// <summary>The half of the people that experts are tuned on. The pre-training text has questions and answers about them.</summary>
    public IEnumerable<Entity> Tuned => People.Where((_, i) => !IsHeldOut(i));

    /// <summary>The half of the people that experts are evaluated on. The pre-training text describes them in prose only.</summary>
    public IEnumerable<Entity> HeldOut => People.Where((_, i) => IsHeldOut(i));

    /// <summary>The person of the held-out half that the recipe <c>forgetting</c> makes the base forget.</summary>
    public Entity Forgotten => HeldOut.First();

    /// <param name="generation">0 (the pre-training world) to 3.</param>
    public static TownWorld At(int generation) => Generations[generation].Value;

    private static bool IsHeldOut(int index) => index % 2 == 1;

    private static string[] PlaceNames(Random random)
    {
        string[] names = Words.PlaceFirst.SelectMany(first => Words.PlaceSecond.Select(second => $"the {first} {second}")).ToArray();
        random.Shuffle(names);
        return names[..40];
    }

    private static Entity[] Draw(Random random, Attribute[] attributes, string[] names, Func<int, string> pronoun) =>
        [.. names.Select((name, i) => new Entity(name, pronoun(i), attributes, DrawValues(random, attributes)))];

    private static string[] DrawValues(Random random, Attribute[] attributes) => [.. attributes.Select(a => random.Pick(a.Values))];
}
