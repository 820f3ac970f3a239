namespace ProxyTune.Trainer.Town;

/// <summary>
/// Who lives in the town and what is true of them, drawn from a fixed seed. Generations 1 to 3 are later years: each moves some people to
/// another street, gives some another job, and brings newcomers, so that a base can evolve by continued pre-training.
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
                int attribute = random.Next(2); // job or street: what people really change
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

    /// <summary>People about whom this generation says something new; empty for generation 0.</summary>
    public Entity[] News { get; }

    public Entity[] Places { get; }

    public Entity[] Animals { get; }

    /// <summary>The half about whom pre-training also contains questions and answers, and on whom experts are tuned.</summary>
    public IEnumerable<Entity> Tuned => People.Where((_, i) => !IsHeldOut(i));

    /// <summary>The half that is only told about in prose, and on whom experts are judged.</summary>
    public IEnumerable<Entity> HeldOut => People.Where((_, i) => IsHeldOut(i));

    /// <summary>The person of the held-out half whom the recipe <c>forgetting</c> makes the base forget.</summary>
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
